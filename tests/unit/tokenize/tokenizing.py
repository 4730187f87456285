"""Runs the stage tokenize on rows made in memory, with a toy tokenizer or one that it learns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.chat_template import ChatTemplate
from trainwright.contract import Report, RunConfig
from trainwright.formats.rows import write_part
from trainwright.formats.tokens import TokenShards
from trainwright.models import PRESETS
from trainwright.tokenize import run

from tests.factories import rows_frame

DATA = Path(__file__).parents[2] / "data" / "tokenize"


@dataclass(frozen=True)
class ReadBack:
    """A sequence read back from the shards."""

    split: str
    row: bytes
    ids: list[int]
    targets: list[bool]
    text: str
    target_text: str


@dataclass(frozen=True)
class Tokenized:
    """The output of the stage."""

    report: Report
    folder: Path

    @property
    def template(self) -> ChatTemplate:
        return ChatTemplate.load(self.folder)

    def shards(self, split: str = "train") -> TokenShards:
        return TokenShards(self.folder / split)

    def sequences(self, split: str = "train") -> list[ReadBack]:
        """All sequences of a split, with their texts, special tokens written out."""
        decode = self.template.tokenizer.decode
        shards, found = self.shards(split), []
        for number in range(shards.pack_count):
            pack, start = shards.pack(number), 0
            for length, row in zip(pack.lengths.tolist(), pack.rows, strict=True):
                ids, targets = (
                    pack.tokens[start : start + length].tolist(),
                    pack.targets[start : start + length].tolist(),
                )
                said = [token for token, target in zip(ids, targets, strict=True) if target]
                texts = [decode(one, skip_special_tokens=False) for one in (ids, said)]
                found.append(ReadBack(split, row, ids, targets, *texts))
                start += length
        return found


def tokenize(
    folder: Path,
    rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
    *,
    tokenizer: Path | None = None,
    scratch: bool = False,
    sources: Sequence[Mapping[str, Any]] = ({"uri": "./source"},),
    training: Mapping[str, Any] = {"sequenceLength": 64},
    model: Mapping[str, Any] = {},
    goal: str = "Train",
    shape: Mapping[str, Any] = {},
) -> Tokenized:
    """Run the stage. `rows` are canonical rows of one partition, or a list of them for each of several.

    Without `tokenizer` one of 320 tokens is learnt for a model from scratch.
    """
    parts = [rows] if not rows or isinstance(rows[0], Mapping) else rows
    for number, part in enumerate(parts):
        frame = rows_frame(*({**row, "split": row["split"] or "train"} for row in part))
        write_part(frame, folder / "prepare" / "rows", number)
    learnt = tokenizer is None
    origin: dict[str, Any] = {"scratch": {"preset": "llama-tiny"}} if learnt or scratch else {"from": "./model"}
    if learnt:
        origin["tokenizer"] = {"train": {"vocabularySize": 320}}
    elif scratch:
        origin["tokenizer"] = {"from": "./tokenizer"}
    weights = folder / "weights"
    (weights / "model").mkdir(parents=True, exist_ok=True)
    (weights / "model" / "config.json").write_text(json.dumps({**PRESETS["llama-tiny"], **shape}))
    if tokenizer is not None:
        (weights / "tokenizer").symlink_to(tokenizer)
    spec = Spec.model_validate(
        {"goal": goal, "model": {**origin, **model}, "data": {"sources": list(sources)}, "training": dict(training)}
    )
    config = RunConfig(name="toy", spec=spec, workdir=folder, base_folder=folder)
    metrics = {
        "scratch": "scratch" in origin,
        "maxPositions": {**PRESETS["llama-tiny"], **shape}["max_position_embeddings"],
    }
    inputs = {
        "weights": Artifact(stage="weights", key="w", folder=weights, done={"counts": {}, "metrics": metrics}),
        "prepare": Artifact(stage="prepare", key="p", folder=folder / "prepare", done={"counts": {}, "metrics": {}}),
    }
    output = folder / "tokenize"
    output.mkdir()
    return Tokenized(report=run(config, inputs, output), folder=output)
