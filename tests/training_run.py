"""A run whose train stage can be started: a tiny Llama and token shards, on disk as the stages before leave them.

Tokens follow a rule (each is the one before plus the sequence's stride), so that a few steps lower the loss.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from trainwright import artifacts, environment, launcher
from trainwright.api import Spec, resolve
from trainwright.artifacts import Artifact
from trainwright.contract import STAGE, RunConfig
from trainwright.formats.tokens import Sequences, write_shard
from trainwright.stage_process import Job

from tests.tiny_run import write_tokenizer

VOCABULARY = 259
SEQUENCE_LENGTH = 32
ROOT = Path(__file__).parents[1]
SHAPE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
SCRATCH = {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 300}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """A workdir with finished weights and tokenize."""

    workdir: Path

    @property
    def output(self) -> Path:
        """The folder of the train stage."""
        return artifacts.folder_of(self.workdir, "train", "key")

    def train(
        self,
        *,
        processes: int = 2,
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
        variables: Mapping[str, str] | None = None,
    ) -> Artifact:
        """Run the stage, or go on with it."""
        output = artifacts.begin(self.workdir, STAGE["train"], "key")
        job = Job(stage="train", key="key", output=str(output), inputs={"weights": "w", "tokenize": "t"})
        paths = os.pathsep.join([str(ROOT / "trainer_image"), str(ROOT)])
        return launcher.run_stage(
            self.workdir / "run.json",
            job,
            gang=environment.one_node(processes),
            listener=launcher.Listener(on_line=on_line),
            variables={"PYTHONPATH": paths, **(variables or {})},
        )

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of steps.jsonl or evaluations.jsonl."""
        return [json.loads(line) for line in (self.output / name).read_text("utf-8").splitlines()]

    def steps(self) -> list[dict[str, Any]]:
        """steps.jsonl without times."""
        return [
            {name: value for name, value in line.items() if name != "seconds"} for line in self.lines("steps.jsonl")
        ]


def training_run(
    folder: Path,
    *,
    model: Mapping[str, Any] = SCRATCH,
    training: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    sequences: int = 160,
    validation: int = 24,
    **groups: Mapping[str, Any],
) -> TrainingRun:
    """Write a workdir. `model.from` is ./base: weights made here from a seed."""
    spec = {
        "model": dict(model),
        "data": {"sources": [{"uri": "./rows.jsonl"}]},
        "training": {
            "sequenceLength": SEQUENCE_LENGTH,
            "batchTokens": 256,
            "learningRate": 1e-2,
            "precision": "fp32",
            **(training or {}),
        },
        "evaluation": {"every": 4, **(evaluation or {})},
        **groups,
    }
    folder.mkdir(parents=True, exist_ok=True)
    config = RunConfig(
        name="tiny", spec=resolve(Spec.model_validate(spec)), workdir=folder, base_folder=folder, processes=2
    )
    artifacts.write_json(folder / "run.json", config.model_dump(mode="json", by_alias=True))
    _finish(
        folder,
        "weights",
        "w",
        {"scratch": "scratch" in model},
        lambda path: _write_model(path / "model", scratch="scratch" in model),
    )
    _finish(
        folder,
        "tokenize",
        "t",
        {"sequenceLength": SEQUENCE_LENGTH},
        lambda path: _write_tokens(path, sequences, validation),
    )
    return TrainingRun(workdir=folder)


def write_tokens(folder: Path, count: int, *, seed: int = 0, targetless: Sequence[int] = ()) -> None:
    """One shard of `count` sequences of 5 to 16 tokens, two or more to a pack; `targetless` ones have no target."""
    draw = np.random.RandomState(seed)
    lengths = draw.randint(5, 17, count).astype(np.int32)
    starts, strides = draw.randint(3, VOCABULARY, count), draw.randint(1, 4, count)
    tokens = [
        (start + stride * np.arange(n)) % (VOCABULARY - 3) + 3
        for start, stride, n in zip(starts, strides, lengths, strict=True)
    ]
    targets = [(np.arange(n) >= n // 3) & (n > 1) & (row not in targetless) for row, n in enumerate(lengths)]
    packs: list[list[int]] = [[]]
    for number, length in enumerate(lengths):
        if sum(int(lengths[n]) for n in packs[-1]) + length > SEQUENCE_LENGTH:
            packs.append([])
        packs[-1].append(number)
    sequences = Sequences(
        tokens=np.concatenate(tokens).astype(np.uint32),
        targets=np.concatenate(targets),
        lengths=lengths,
        rows=np.frombuffer(b"".join(b"row-%012d" % n for n in range(count)), np.uint8).reshape(-1, 16),
    )
    write_shard(folder, 0, sequences, packs, vocabulary_size=VOCABULARY, sequence_length=SEQUENCE_LENGTH)


def _write_tokens(folder: Path, sequences: int, validation: int) -> None:
    write_tokenizer(folder / "tokenizer")
    write_tokens(folder / "train", sequences)
    if validation:
        write_tokens(folder / "validation", validation, seed=1)


def _write_model(folder: Path, *, scratch: bool) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(SHAPE), "utf-8")
    if not scratch:
        import torch
        from trainwright.models import build_model

        build_model(folder, vocabulary_size=VOCABULARY, seed=5, dtype=torch.float32).save_pretrained(folder)


def _finish(folder: Path, stage: str, key: str, metrics: Mapping[str, Any], write: Callable[[Path], None]) -> None:
    output = artifacts.folder_of(folder, stage, key)
    output.mkdir(parents=True)
    write(output)
    artifacts.write_json(output / "done.json", {"stage": stage, "key": key, "counts": {}, "metrics": dict(metrics)})
