"""What the stages left, read with tolerance: what is not there, or of another kind than wanted, is None or empty.

In: the finished stages' artifacts and plan.json in its folder. Out: `Outputs`, which the sections of the page ask.
The last stage of a run of hours must not fail because one figure is odd.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.artifacts import Inputs
from trainwright.contract import RunConfig
from trainwright.report.wording import is_number

Json = Any
"""A value from a JSON file: its shape is another stage's business and may change between versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Everything the page and metrics.json are made of."""

    config: RunConfig
    stages: Inputs
    plan: Mapping[str, Json]
    examples: bool

    @classmethod
    def read(cls, config: RunConfig, inputs: Inputs, *, examples: bool) -> Outputs:
        """Collect the stages' artifacts and the plan that was made before the run, if there is one."""
        plan = _read_json(config.folder / "plan.json")
        stages = {name: made for name, made in inputs.items() if name != "report"}
        return cls(config=config, stages=stages, plan=mapping(plan), examples=examples)

    def metric(self, stage: str, *path: str) -> Json:
        """A figure of a stage by its path in the metrics; None if the stage or the figure is absent."""
        return _at(self.stages[stage].metrics, path) if stage in self.stages else None

    def number(self, stage: str, *path: str) -> float | None:
        """A figure of a stage if it is a finite number."""
        return number(self.metric(stage, *path))

    def counts(self, stage: str) -> Mapping[str, float]:
        """The counts of a stage; empty if it did not run."""
        return numbers(self.stages[stage].counts) if stage in self.stages else {}

    def fact(self, stage: str, *path: str) -> Json:
        """A fact of done.json beside counts and metrics (times, versions, ingredients)."""
        return _at(self.stages[stage].done, path) if stage in self.stages else None

    def file(self, stage: str, name: str) -> Json:
        """A JSON file of a stage's output; None if there is none or it cannot be read."""
        return _read_json(self.stages[stage].folder / name) if stage in self.stages else None

    def lines(self, stage: str, name: str) -> list[Mapping[str, Json]]:
        """The objects of a JSON Lines file of a stage's output, in order; unreadable lines are skipped."""
        if stage not in self.stages:
            return []
        try:
            text = (self.stages[stage].folder / name).read_text("utf-8")
        except OSError:
            return []
        return records([_parse(line) for line in text.split("\n")])

    def steps(self) -> list[Mapping[str, Json]]:
        """What each step of prepare did, in order."""
        return records(self.file("prepare", "steps.json")) or records(self.metric("prepare", "steps"))

    def sources(self) -> list[Mapping[str, Json]]:
        """What ingest says of each source, in order."""
        return records(self.file("ingest", "sources.json"))

    def evaluations(self) -> list[Mapping[str, Json]]:
        """Validations while training, in order."""
        return records(self.metric("train", "evaluations")) or self.lines("train", "evaluations.jsonl")


def number(value: Json) -> float | None:
    """`value` if it is a finite number."""
    return value if is_number(value) else None


def mapping(value: Json) -> Mapping[str, Json]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def numbers(value: Json) -> dict[str, float]:
    """The members of an object that are finite numbers."""
    return {str(name): item for name, item in mapping(value).items() if is_number(item)}


def records(value: Json) -> list[Mapping[str, Json]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def texts(value: Json) -> list[str]:
    """The texts of a list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _at(value: Json, path: tuple[str, ...]) -> Json:
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _read_json(path: Path) -> Json:
    try:
        return _parse(path.read_text("utf-8"))
    except OSError:
        return None


def _parse(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return None
