"""Killed at any moment, the same command goes on and ends as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.crash import stable_metrics
from tests.local.run.conftest import environment, finished, rows, write_jsonl, write_run

MOMENTS = ("prepare", "train", "evaluate")


def test_a_run_killed_three_times_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(400))
    spec = {"training": {"maxSteps": 30, "batchTokens": 256, "sequenceLength": 64}, "checkpoint": {"interval": "1s"}}
    run = write_run(tmp_path, spec)
    complete(run, tmp_path / "calm")
    seen: dict[str, object] = {}
    for stage in MOMENTS:
        kill_in(stage, run, tmp_path / "disturbed")
        for name, done in finished(tmp_path / "disturbed").items():
            assert seen.setdefault(name, done) == done, f"{name} was done twice"
    complete(run, tmp_path / "disturbed")
    after = finished(tmp_path / "disturbed")
    assert {name: after[name] for name in seen} == seen
    assert stable_metrics(tmp_path / "disturbed") == stable_metrics(tmp_path / "calm")


def kill_in(stage: str, run: Path, workdir: Path) -> None:
    """Start the run and SIGKILL it a moment after `stage` has begun to work."""
    process = subprocess.Popen(command(run, workdir), stdout=subprocess.DEVNULL, env=environment())
    deadline = time.monotonic() + 300
    while not (workdir / "jobs" / f"{stage}.json").exists() and process.poll() is None:
        assert time.monotonic() < deadline, f"{stage} never started"
        time.sleep(0.05)
    if stage == "train":
        while not any(workdir.glob("stages/train/*/checkpoints/step-*/manifest.json")) and process.poll() is None:
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.05)
    assert process.poll() is None, f"the run ended before {stage} could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def complete(run: Path, workdir: Path) -> None:
    """Run to the end."""
    done = subprocess.run(command(run, workdir), capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def command(run: Path, workdir: Path) -> list[str]:
    """The command line of a run with two training processes."""
    return [sys.executable, "-m", "trainwright", "run", str(run), "--workdir", str(workdir)]
