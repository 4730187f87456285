"""What the parts agree on: the graph of stages, the run's settings as stages see them, verdicts and progress.

The command line, the operator and the pods all import this and nothing else of each other. No torch, no polars here:
importing it is cheap, so that keys can be compared before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainwright.api import NOT_BUILT as NOT_BUILT  # noqa: PLC0414 - part of the contract
from trainwright.api import Spec
from trainwright.api import unbuilt as unbuilt  # noqa: PLC0414 - part of the contract

Goal = Literal["Train", "PrepareData", "Evaluate"]
TRAIN: frozenset[Goal] = frozenset({"Train"})
MODEL: frozenset[Goal] = frozenset({"Train", "Evaluate"})
ROWS: frozenset[Goal] = frozenset({"Train", "PrepareData"})
ALL: frozenset[Goal] = frozenset({"Train", "PrepareData", "Evaluate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the way of a run.

    `needs` are the stages whose outputs it reads; `goals` those of the spec that include it; `fields` the fields of the
    spec that its result depends on (`a.b[].c` goes into every item of a list): they, the keys of `needs`, the digests
    of its own sources and `version` make its key. Raise `version` whenever the same input gives another output.
    """

    name: str
    needs: tuple[str, ...] = ()
    goals: frozenset[Goal]
    fields: tuple[str, ...] = ()
    fans_out: bool = False
    resumable: bool = False
    version: int = 1


STAGES: tuple[Stage, ...] = (
    Stage(
        name="weights",
        goals=MODEL,
        fields=("model.from", "model.scratch", "model.tokenizer"),
    ),
    Stage(
        name="ingest",
        goals=ALL,
        fans_out=True,
        fields=(
            "data.sources[].uri",
            "data.sources[].format",
            "data.sources[].columns",
            "data.sources[].maxRows",
            "data.onBadRows",
            "data.maxBadShare",
            "training.seed",
        ),
    ),
    Stage(
        name="prepare",
        needs=("ingest",),
        goals=ALL,
        fans_out=True,
        fields=("data.sources[].use", "data.prepare", "data.audit", "data.split", "training.seed"),
    ),
    Stage(
        name="tokenize",
        needs=("weights", "prepare"),
        goals=MODEL,
        fans_out=True,
        fields=(
            "model.tokenizer",
            "model.chatTemplate",
            "model.systemPrompt",
            "data.sources[].weight",
            "training.objective",
            "training.sequenceLength",
            "training.truncation",
            "training.packing",
            "training.seed",
        ),
    ),
    Stage(
        name="index",
        needs=("prepare",),
        goals=ROWS,
        fans_out=True,
        fields=("vectorStore",),
    ),
    Stage(
        name="train",
        needs=("weights", "tokenize"),
        goals=TRAIN,
        resumable=True,
        fields=(
            "training.objective",
            "training.lora",
            "training.epochs",
            "training.maxSteps",
            "training.learningRate",
            "training.schedule",
            "training.warmup",
            "training.weightDecay",
            "training.adamBetas",
            "training.clipNorm",
            "training.batchTokens",
            "training.precision",
            "training.seed",
            "training.earlyStopping",
            "training.resumeFrom",
            "training.command",
            "training.image",
            "training.code",
            "evaluation.every",
            "evaluation.keep",
            "evaluation.maxRows",
        ),
    ),
    Stage(
        name="evaluate",
        needs=("weights", "prepare", "tokenize", "train"),
        goals=MODEL,
        fields=(
            "evaluation.metrics",
            "evaluation.generate",
            "evaluation.gates",
            "evaluation.probes",
            "evaluation.maxRows",
            "training.precision",
        ),
    ),
    Stage(
        name="export",
        needs=("weights", "ingest", "prepare", "tokenize", "train", "evaluate"),
        goals=ROWS,
        fields=("goal", "data.sources[].license"),
    ),
    Stage(
        name="report",
        needs=("weights", "ingest", "prepare", "tokenize", "index", "train", "evaluate", "export"),
        goals=ALL,
    ),
)

STAGE: Mapping[str, Stage] = {stage.name: stage for stage in STAGES}


def stages_of(spec: Spec) -> tuple[Stage, ...]:
    """The stages of this run, in the order they run."""
    return tuple(
        stage for stage in STAGES if spec.goal in stage.goals and (stage.name != "index" or spec.vector_store.enabled)
    )


class RunConfig(BaseModel):
    """run.json: everything a stage may know about its run.

    Only `spec` and `sample` (with the sources' contents) shape results; the rest says where and how fast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    spec: Spec
    """The spec with all literal defaults resolved."""
    workdir: Path
    """Folder of this run: stages/, model/, report.html, metrics.json."""
    base_folder: Path
    """`./` URIs are relative to it: the folder of the YAML file."""
    mounts: dict[str, Path] = Field(default_factory=dict)
    """Where `pvc://CLAIM/` lies on this machine."""
    sample: int | None = None
    """At most so many exchanges per source, taken by hash; absent: all."""
    workers: int = 1
    """Processes of ingest, prepare and tokenize; no result depends on it."""
    processes: int = 1
    """Training processes on this machine."""
    attempt: int = 1
    """Counts the starts of the stage at work; part of temporary names."""


def source_names(spec: Spec) -> tuple[str, ...]:
    """The name of each source in counts and rows: its URI, with #2, #3 … where one URI stands several times."""
    names: list[str] = []
    for source in spec.data.sources:
        earlier = sum(name == source.uri or name.startswith(source.uri + "#") for name in names)
        names.append(source.uri if not earlier else f"{source.uri}#{earlier + 1}")
    return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a stage says of its work: it becomes part of done.json, the report page and metrics.json.

    `counts` are whole numbers of things (rows in, kept, dropped by reason), `metrics` any other JSON figures,
    `message` one sentence for people.
    """

    message: str
    counts: Mapping[str, int]
    metrics: Mapping[str, Any]


class Verdict(BaseModel):
    """Why a process failed, as it leaves it for its launcher (at most 4 KiB of JSON)."""

    model_config = ConfigDict(frozen=True)

    reason: str
    message: str
    hint: str = ""
    exit_code: int
    stage: str = ""
    rank: int | None = None
    step: int | None = None
