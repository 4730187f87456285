"""Whatever is wrong is told in a sentence: what, where, what to do, with an exit code, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainwright.errors import EXIT_BAD_INPUT, EXIT_RETRY, EXIT_STOPPED

from tests.local.run.conftest import Command, environment, finished, rows, write_jsonl, write_run

MODEL = {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 400}}}


def data(**source: Any) -> dict[str, Any]:
    """The data group with one source over ./rows.jsonl."""
    return {"sources": [{"uri": "./rows.jsonl"} | source], "split": {"validation": 0.1, "test": 0.1}}


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a field nobody knows": ({"training": {"learningrate": 1.0}}, ["run.yaml", "learningrate", "learningRate"]),
    "a value of a wrong type": ({"training": {"maxSteps": "many"}}, ["maxSteps", "many", "whole number"]),
    "a column that no row has": (
        {"data": data(columns={"prompt": "question", "response": "response"})},
        ["question", "prompt", "response"],
    ),
    "a source that is not there": ({"data": data(uri="./absent.jsonl")}, ["absent.jsonl", "no file"]),
    "a package that is not installed": ({"data": data(uri="pkg://no_such_package/rows.jsonl")}, ["no_such_package"]),
    "a claim without a place": ({"data": data(uri="pvc://corpus/rows.jsonl")}, ["corpus", "--mount"]),
    "no row left after the filters": (
        {"data": data() | {"prepare": {"relevance": {"minChars": 5000}}}},
        ["relevance", "0 "],
    ),
    "a sequence longer than the model's limit": (
        {"training": {"maxSteps": 2, "sequenceLength": 9_000, "batchTokens": 9_000}},
        ["sequenceLength", "9000"],
    ),
    "a field that no stage acts on yet": (
        {"vectorStore": {"external": {"url": "https://weaviate.example:443"}}},
        ["vectorStore.external", "not built yet"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_told_with_its_place(case: str, tmp_path: Path, trainwright: Command) -> None:
    spec, words = CASES[case]
    write_jsonl(tmp_path / "rows.jsonl", rows(60))
    done = trainwright("run", write_run(tmp_path, spec), "--workdir", tmp_path / "work", "--until", "tokenize")
    told(done, EXIT_BAD_INPUT, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["rows.jsonl", "empty"]),
        (b'{"prompt": "a question", "resp', ["rows.jsonl", "1"]),
        (b"\x1f\x8b\x08\x00", ["rows.jsonl"]),
    ],
    ids=["empty", "truncated", "not text"],
)
def test_a_source_without_a_readable_row_is_refused(
    content: bytes, words: list[str], tmp_path: Path, trainwright: Command
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    done = trainwright("run", write_run(tmp_path), "--workdir", tmp_path / "work", "--until", "ingest")
    told(done, EXIT_BAD_INPUT, *words)


def test_a_bad_row_costs_a_row_and_is_named(tmp_path: Path, trainwright: Command) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", rows(300))
    with path.open("ab") as file:
        file.write(b'{"prompt": "\xe9t\xe9 in another encoding", "response": "gone"}\n')
        file.write(b'{"prompt": "nothing comes back", "response": ""}\n')
    done = trainwright("run", write_run(tmp_path), "--workdir", tmp_path / "work", "--until", "ingest")
    assert done.returncode == 0, done.stderr
    (name, ingest), *_ = finished(tmp_path / "work").items()
    assert ingest["counts"]["exchanges"] == 300
    bad = [json.loads(line) for line in (tmp_path / "work" / "stages" / name / "bad.jsonl").read_text().splitlines()]
    assert {line["line"] for line in bad} >= {301}
    assert all("rows.jsonl" in line["file"] for line in bad)


def test_a_model_folder_without_weights_is_refused(tmp_path: Path, trainwright: Command) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(20))
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    run = write_run(tmp_path, {"model": {"from": "./base"}})
    done = trainwright("run", run, "--workdir", tmp_path / "work", "--until", "weights")
    told(done, EXIT_BAD_INPUT, "base", "safetensors")


def test_a_pickle_is_never_loaded(tmp_path: Path, trainwright: Command) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(20))
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    trap = b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    (folder / "pytorch_model.bin").write_bytes(trap)
    run = write_run(tmp_path, {"model": {"from": "./base"}})
    done = trainwright("run", run, "--workdir", tmp_path / "work", "--until", "weights")
    told(done, EXIT_BAD_INPUT, "pytorch_model.bin", "safetensors")
    assert not (tmp_path / "owned").exists()


def test_more_processes_than_cores_are_refused(tmp_path: Path, trainwright: Command) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(20))
    many = str((os.cpu_count() or 1) + 1)
    done = trainwright("run", write_run(tmp_path), "--workdir", tmp_path / "work", "--processes", many)
    told(done, EXIT_BAD_INPUT, f"--processes {many}", "core")


def test_the_workdir_of_another_run_is_left_alone(small: Path, tmp_path: Path, trainwright: Command) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "copy"))
    before = finished(folder / "work")
    other = write_run(folder, name="another", file="other.yaml")
    done = trainwright("run", other, "--workdir", folder / "work")
    told(done, EXIT_BAD_INPUT, "small", "another", "--workdir")
    assert finished(folder / "work") == before


def test_a_workdir_in_use_is_not_entered(tmp_path: Path, trainwright: Command) -> None:
    from trainwright.artifacts import locked

    write_jsonl(tmp_path / "rows.jsonl", rows(20))
    with locked(tmp_path / "work"):
        done = trainwright("run", write_run(tmp_path), "--workdir", tmp_path / "work")
    told(done, EXIT_RETRY, str(os.getpid()), "--workdir")


def test_a_full_disk_is_told_and_the_same_command_goes_on(
    small_disk: Callable[[Path, int], Path], tmp_path: Path, trainwright: Command
) -> None:
    disk = small_disk(tmp_path / "disk", 400_000_000)
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnoprstuvw", k=6)) for _ in range(5_000)]
    talk = [
        {"prompt": " ".join(draw.choices(words, k=9)), "response": " ".join(draw.choices(words, k=9))}
        for _ in range(20_000)
    ]
    write_jsonl(tmp_path / "rows.jsonl", talk)
    run = write_run(tmp_path)
    arguments = ("run", run, "--workdir", disk / "work", "--until", "prepare", "--workers", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "trainwright", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    while not (disk / "work" / "jobs" / "prepare.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"0" * 4096)
    out, err = process.communicate()
    told(subprocess.CompletedProcess(process.args, process.returncode, out, err), EXIT_RETRY, "WorkspaceFull", "room")
    ballast.unlink()
    done = trainwright(*arguments)
    assert done.returncode == 0, done.stderr


def test_a_run_past_its_deadline_stops_and_can_go_on(tmp_path: Path, trainwright: Command) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(100))
    endless = {"maxSteps": 100_000, "batchTokens": 256, "sequenceLength": 64}
    run = write_run(tmp_path, {"training": endless, "activeDeadlineSeconds": 25})
    done = trainwright("run", run, "--workdir", tmp_path / "work")
    told(done, EXIT_STOPPED, "DeadlineExceeded", "activeDeadlineSeconds: 25")
    assert any((tmp_path / "work").glob("stages/train/*/checkpoints/step-*/manifest.json"))


def told(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The command ended with `code` and said all `words` without a traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    missing = [word for word in words if word not in done.stderr]
    assert not missing, f"{missing} not in: {done.stderr}"
