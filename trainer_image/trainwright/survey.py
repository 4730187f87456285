"""Which stages of a run are finished, by key, and what changed where one is not.

In: run settings and the workdir. Out: a Step per stage. All keys follow from the spec and the contents of the sources,
so nothing has to run, and nothing heavy has to be imported, to know them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright import artifacts, contract, storage
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig, Stage
from trainwright.errors import BadInput

UNFINISHED = "unfinished"
FRESH = "fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage of this run: its key, what went into it, its finished output if any, and why it is not reused."""

    stage: Stage
    key: str
    ingredients: Mapping[str, Any]
    artifact: Artifact | None
    changed: tuple[str, ...]

    @property
    def will(self) -> str:
        """What happens to it: reused, goes on, or will run."""
        if self.artifact is not None:
            return "reused"
        return "goes on" if self.changed == (UNFINISHED,) and self.stage.resumable else "will run"

    @property
    def because(self) -> str:
        """Why it is not reused; empty at the first run."""
        if self.changed in ((UNFINISHED,), (FRESH,)):
            return {UNFINISHED: "it did not finish", FRESH: "--fresh asks for it"}[self.changed[0]]
        return f"{', '.join(self.changed)} changed" if self.changed else ""


def survey(config: RunConfig, *, fresh: tuple[str, ...] = ()) -> list[Step]:
    """Every stage of the run with its key, whether its output exists, and what changed since the last one if not.

    Outputs of `fresh` stages count as absent; they are taken away when the stage begins.
    """
    spec = config.spec.model_dump(by_alias=True, mode="json")
    keys: dict[str, str] = {}
    steps = []
    for stage in contract.stages_of(config.spec):
        ingredients = {
            "fields": artifacts.projection(spec, stage.fields),
            "inputs": {name: keys[name] for name in stage.needs if name in keys},
            "sources": dict(_sources(stage, config)),
            "sample": config.sample if stage.name == "ingest" else None,
        }
        key = keys[stage.name] = artifacts.key_of(stage, ingredients)
        found = None if stage.name in fresh else artifacts.find(config.workdir, stage.name, key)
        changed = () if found else _changes(config.workdir, stage, key, ingredients, fresh)
        steps.append(Step(stage=stage, key=key, ingredients=ingredients, artifact=found, changed=changed))
    return steps


def pinned(config: RunConfig, file: Path) -> list[Step]:
    """The stages with the keys that `file` holds; without it, survey them and write it.

    So the sources are listed once in a run, and those that come later need no way to them.

    Raises:
        BadInput: the file cannot be read, or is of another spec.
    """
    if not file.exists():
        steps = survey(config)
        pins = {step.stage.name: {"key": step.key, "ingredients": step.ingredients} for step in steps}
        artifacts.write_json_once(file, pins)
    try:
        kept = json.loads(file.read_text("utf-8"))
        return [_pinned_step(config, stage, kept[stage.name]) for stage in contract.stages_of(config.spec)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{file} cannot be used: {error!r}", hint="remove it: the next attempt writes it anew"
        ) from error


def _pinned_step(config: RunConfig, stage: Stage, kept: Mapping[str, Any]) -> Step:
    found = artifacts.find(config.workdir, stage.name, kept["key"])
    return Step(stage=stage, key=kept["key"], ingredients=kept["ingredients"], artifact=found, changed=())


def newest(workdir: Path, stage: str) -> Artifact:
    """The output of a stage that finished last in a workdir.

    Raises:
        BadInput: there is none.
    """
    keys = artifacts.finished_keys(workdir, stage)
    found = artifacts.find(workdir, stage, keys[-1]) if keys else None
    if found is None:
        raise BadInput(
            f"{workdir} has no finished stage {stage}", hint=f"trainwright run FILE --workdir {workdir} makes it"
        )
    return found


def _uris(stage: Stage, config: RunConfig) -> Iterator[str]:
    """The sources a stage reads itself; what other stages made is known by key."""
    spec = config.spec
    model = spec.model
    candidates: dict[str, list[str | None]] = {
        "ingest": [source.uri for source in spec.data.sources],
        "prepare": [spec.data.prepare.offensive.lexicon],
        "index": [spec.vector_store.embedding],
        "train": [spec.training.resume_from],
    }
    if model is not None:
        scratch = model.scratch.config if model.scratch else None
        tokenizer = model.tokenizer.from_ if model.tokenizer else None
        candidates["weights"] = [model.from_, scratch, tokenizer]
    yield from (uri for uri in candidates.get(stage.name, []) if uri is not None)


def _sources(stage: Stage, config: RunConfig) -> Iterator[tuple[str, list[list[str]]]]:
    """The digests of what a stage reads besides other stages' outputs, by URI."""
    for uri in _uris(stage, config):
        yield uri, [[file.name, file.digest] for file in storage.list_files(uri, config)]
    if stage.name == "index" and config.spec.vector_store.embedding is None:
        from trainwright.index.address import table_address

        yield "the product's embedding table", [["table", table_address()]]


def _changes(workdir: Path, stage: Stage, key: str, new: Mapping[str, Any], fresh: tuple[str, ...]) -> tuple[str, ...]:
    """What differs from the newest finished output of this stage, in words of the file; empty if there is none."""
    if stage.name in fresh:
        return (FRESH,)
    if artifacts.is_unfinished(workdir, stage.name, key):
        return (UNFINISHED,)
    keys = artifacts.finished_keys(workdir, stage.name)
    if not keys:
        return ()
    last = artifacts.find(workdir, stage.name, keys[-1])
    if last is None or "ingredients" not in last.done:
        return ("its last output cannot be read",)
    done, old = last.done, last.done["ingredients"]
    words = [name for name, value in new["fields"].items() if old["fields"].get(name) != value]
    words += [f"the content of {uri}" for uri, value in new["sources"].items() if old["sources"].get(uri) != value]
    words += [f"stage {name}" for name, value in new["inputs"].items() if old["inputs"].get(name) != value]
    words += ["--sample"] if old.get("sample") != new["sample"] else []
    words += ["a newer version of the stage"] if done.get("version") != stage.version else []
    return tuple(words) or ("its inputs",)
