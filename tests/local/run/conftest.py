"""A small run, from scratch, through every stage in seconds: what the tests of the local runner start from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
Command = Callable[..., subprocess.CompletedProcess[str]]

TALK = [
    ("What colour is the sky?", "The sky is blue today."),
    ("Do you like tea?", "Yes, I drink tea every morning."),
    ("Where does the train go?", "It goes to the sea."),
    ("Who wrote this letter?", "My sister wrote it last week."),
    ("Is it cold outside?", "No, it is warm and sunny."),
    ("What did you cook?", "I cooked rice with beans."),
]


def rows(count: int) -> list[dict[str, str]]:
    """`count` different prompt/response rows."""
    return [
        {"prompt": f"{ask} ({n})", "response": f"{reply} I say it for the {n}th time, as number {n * 7919 % 1000}."}
        for n in range(count)
        for ask, reply in [TALK[n % len(TALK)]]
    ]


def write_jsonl(path: Path, lines: list[dict[str, Any]]) -> Path:
    """Write rows as JSON Lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def write_run(
    folder: Path, spec: Mapping[str, Any] | None = None, *, name: str = "small", file: str = "run.yaml"
) -> Path:
    """A TrainingRun file that trains llama-tiny on ./rows.jsonl for a few steps; `spec` replaces whole groups of it."""
    groups: dict[str, Any] = {
        "model": {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 400}}},
        "data": {"sources": [{"uri": "./rows.jsonl"}], "split": {"validation": 0.1, "test": 0.1}},
        "training": {"maxSteps": 6, "batchTokens": 256, "sequenceLength": 64, "learningRate": 1e-3},
        "evaluation": {"every": 3, "maxRows": 20, "generate": {"rows": 4, "maxNewTokens": 4}},
        "vectorStore": {"enabled": False},
    } | dict(spec or {})
    document = {
        "apiVersion": "trainwright.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name},
        "spec": groups,
    }
    path = folder / file
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


def finished(workdir: Path) -> dict[str, dict[str, Any]]:
    """done.json of each stage that is finished, by stage and key."""
    return {
        f"{path.parts[-3]}/{path.parts[-2]}": json.loads(path.read_text("utf-8"))
        for path in sorted(workdir.glob("stages/*/*/done.json"))
    }


@pytest.fixture(scope="session")
def trainwright() -> Command:
    """Runs the command line in a process of its own, as a user does."""

    def call(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trainwright", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 600),
            env=environment() | options.pop("env", {}),
            check=False,
            **options,
        )

    return call


def environment() -> dict[str, str]:
    """The environment of the command line: this checkout's sources first."""
    return dict(os.environ) | {"PYTHONPATH": str(REPOSITORY / "trainer_image")}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, trainwright: Command) -> Path:
    """A folder with rows.jsonl, run.yaml and the finished workdir `work`. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("small")
    write_jsonl(folder / "rows.jsonl", rows(200))
    done = trainwright("run", write_run(folder), "--workdir", folder / "work")
    assert done.returncode == 0, done.stderr + done.stdout
    return folder
