"""The train stage as the launcher starts it, two ranks of one thread: interrupted, resumed, stopped, out of room."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from trainwright import errors
from trainwright.artifacts import Artifact
from trainwright.formats.tokens import TokenShards
from trainwright.train.order import Order

from tests.training_run import TrainingRun, training_run

EVERY_STEP = {"interval": "0s", "keep": 2}
LORA_IN_BF16 = {
    "model": {"from": "./base"},
    "training": {
        "lora": {"rank": 4, "dropout": 0.1},
        "precision": "bf16",
        "maxSteps": 24,
        "learningRate": 0.02,
        "earlyStopping": {"patience": 4, "minDelta": 0.1},  # nothing improves by so much: it ends at step 12
    },
    "evaluation": {"every": 3, "keep": 1},
    "checkpoint": EVERY_STEP,
}
UNUSED_TOKEN = 1
OF_TIME = ("tokensPerSecond",)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingRun, Artifact]:
    run = training_run(tmp_path_factory.mktemp("undisturbed"), **LORA_IN_BF16)
    return run, run.train()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingRun, Artifact]:
    """From random weights in fp32, 12 steps, with a checkpoint of every step."""
    run = training_run(
        tmp_path_factory.mktemp("scratch"), training={"maxSteps": 12}, checkpoint={"interval": "0s", "keep": 12}
    )
    return run, run.train()


def test_a_training_that_is_killed_again_and_again_ends_as_an_undisturbed_one(
    undisturbed: tuple[TrainingRun, Artifact], tmp_path: Path
) -> None:
    reference, finished = undisturbed
    run = training_run(tmp_path, **LORA_IN_BF16)
    with pytest.raises(errors.RankCrashed):
        _train_and(run, _more_steps(run, 2), lambda: _kill_rank(run, 1))
    with pytest.raises(errors.RankCrashed):
        _train_and(run, lambda: _is_writing(run, "checkpoints", after=4), lambda: _kill_rank(run, 0))
    with pytest.raises(errors.RankCrashed):
        _train_and(run, lambda: _is_writing(run, "candidates", after=6), lambda: _kill_rank(run, 0))
    with pytest.raises(errors.Stopped):
        _train_and(run, _more_steps(run, 2), lambda: os.kill(os.getpid(), signal.SIGINT))
    again = run.train()
    assert again.done["attempt"] == 5
    assert run.steps() == reference.steps()
    assert run.lines("evaluations.jsonl") == reference.lines("evaluations.jsonl")
    assert _without_times(again) == _without_times(finished)
    assert _weights(run) == _weights(reference)


def test_early_stopping_ends_at_the_same_step_however_often_it_is_interrupted(
    undisturbed: tuple[TrainingRun, Artifact],
) -> None:
    metrics = undisturbed[1].metrics
    assert metrics["ended"] == "earlyStopping"
    assert metrics["steps"] == 12
    assert metrics["earlyStopping"]["bad"] == 4
    assert metrics["earlyStopping"]["best"] == metrics["evaluations"][0]["loss"]


def test_the_best_candidate_and_the_last_stay(undisturbed: tuple[TrainingRun, Artifact]) -> None:
    run, finished = undisturbed
    kept = {finished.metrics["best"]["step"], finished.metrics["steps"]}
    assert finished.metrics["kept"] == sorted(kept)
    assert {path.name for path in (run.output / "candidates").iterdir()} == {f"step-{step}" for step in kept}


def test_the_newest_checkpoints_stay_and_nothing_half_written(undisturbed: tuple[TrainingRun, Artifact]) -> None:
    run, finished = undisturbed
    last = finished.metrics["steps"]
    names = {path.name for path in (run.output / "checkpoints").iterdir()}
    assert names == {f"step-{last}", f"step-{last - 1}"}


def test_one_rank_trains_the_same_model_as_two(scratch: tuple[TrainingRun, Artifact], tmp_path: Path) -> None:
    alone = training_run(tmp_path, training={"maxSteps": 12})
    alone.train(processes=1)
    losses = [[line["loss"] for line in run.lines("evaluations.jsonl")] for run in (alone, scratch[0])]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_training_lowers_the_loss_and_the_last_rate_is_the_floor(scratch: tuple[TrainingRun, Artifact]) -> None:
    run, finished = scratch
    losses = [entry["loss"] for entry in finished.metrics["evaluations"]]
    assert losses[-1] < losses[0] - 0.3
    assert run.steps()[-1]["learningRate"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("steps", [24, 9])
def test_another_length_goes_on_from_a_checkpoint_without_a_jump(
    scratch: tuple[TrainingRun, Artifact], tmp_path: Path, steps: int
) -> None:
    before = scratch[0]
    uri = f"file://{before.output}/checkpoints/step-6"
    longer = training_run(tmp_path, training={"maxSteps": steps, "resumeFrom": uri})
    finished = longer.train()
    assert [line["step"] for line in longer.steps()] == list(range(7, steps + 1))
    rates = [before.steps()[5]["learningRate"], *(line["learningRate"] for line in longer.steps())]
    steepest = np.pi / 2 * rates[0] / (steps - 6)
    assert all(abs(a - b) <= steepest * 1.001 for a, b in itertools.pairwise(rates))
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert finished.metrics["evaluations"][0] == scratch[1].metrics["evaluations"][0]


def test_a_checkpoint_beyond_the_steps_asked_for_ends_without_a_step(
    scratch: tuple[TrainingRun, Artifact], tmp_path: Path
) -> None:
    uri = f"file://{scratch[0].output}/checkpoints/step-6"
    run = training_run(tmp_path, training={"maxSteps": 5, "resumeFrom": uri})
    finished = run.train()
    assert run.steps() == []
    assert "nothing to do" in finished.done["message"]
    assert (run.output / "candidates" / "step-6" / "model.safetensors").exists()


def test_without_validation_rows_the_last_step_is_the_candidate(tmp_path: Path) -> None:
    run = training_run(tmp_path, training={"maxSteps": 3}, validation=0)
    finished = run.train(processes=1)
    assert (finished.metrics["kept"], finished.metrics["best"]["loss"]) == ([3], None)
    assert (run.output / "candidates" / "step-3").exists()


def test_a_loss_that_is_not_finite_names_step_and_row_and_applies_nothing(tmp_path: Path) -> None:
    run = training_run(tmp_path, model={"from": "./base"}, training={"maxSteps": 24}, evaluation={"every": 24})
    row = _poison(run, step=5)
    with pytest.raises(errors.NonFinite) as caught:
        run.train()
    told = caught.value
    assert row.hex() in told.message
    assert told.step == 5
    assert "step 5" in told.message
    assert told.exit_code == errors.EXIT_BAD_INPUT
    assert [line["step"] for line in run.steps()] == list(range(1, 5))


def test_a_disk_that_cannot_hold_the_checkpoints_is_refused_before_the_first_step(
    tmp_path: Path, small_disk: Callable[[Path, int], Path]
) -> None:
    small_disk(tmp_path / "stages" / "train", 1_400_000)
    run = training_run(tmp_path, training={"maxSteps": 4})
    with pytest.raises(errors.DoesNotFit, match="3 checkpoints of 347,136"):
        run.train()
    assert not (run.output / "steps.jsonl").exists()


def test_a_disk_that_fills_up_keeps_the_newest_checkpoint_and_training_goes_on_with_room(
    tmp_path: Path, small_disk: Callable[[Path, int], Path]
) -> None:
    disk = small_disk(tmp_path / "stages" / "train", 4_000_000)
    run = training_run(tmp_path, training={"maxSteps": 12}, checkpoint=EVERY_STEP)
    filler = disk / "filler"
    with pytest.raises(errors.WorkspaceFull) as caught:
        _train_and(run, _more_steps(run, 3), lambda: _fill(filler))
    assert str(run.output) in caught.value.message
    filler.unlink()
    finished = run.train()
    assert finished.metrics["steps"] == 12
    assert [line["step"] for line in run.steps()] == list(range(1, 13))


def _train_and(run: TrainingRun, when: Callable[[], bool], do: Callable[[], None]) -> None:
    """Train while a thread waits for a condition and then disturbs."""
    over = threading.Event()

    def disturb() -> None:
        while not when():
            if over.wait(0.001):
                return
        do()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        run.train()
    finally:
        over.set()
        thread.join()


def _more_steps(run: TrainingRun, count: int) -> Callable[[], bool]:
    """So many steps more than were done before."""
    before = _done_steps(run)
    return lambda: _done_steps(run) >= before + count


def _done_steps(run: TrainingRun) -> int:
    try:
        return (run.output / "steps.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def _is_writing(run: TrainingRun, kind: str, after: int) -> bool:
    """A checkpoint or candidate of a later step is half-written at this moment."""
    paths = (run.output / kind).glob("step-*.tmp") if (run.output / kind).exists() else []
    return any(int(path.name.split(".")[0].removeprefix("step-")) > after for path in paths)


def _kill_rank(run: TrainingRun, rank: int) -> None:
    for process in psutil.Process().children():
        try:
            if str(run.workdir / "run.json") in process.cmdline() and process.environ().get("RANK") == str(rank):
                process.kill()
        except psutil.Error:
            continue


def _without_times(artifact: Artifact) -> dict[str, Any]:
    return {name: value for name, value in artifact.metrics.items() if name not in OF_TIME}


def _weights(run: TrainingRun) -> dict[str, bytes]:
    """Everything that was kept, byte by byte: candidates, and tensors of checkpoints."""
    return {str(path.relative_to(run.output)): path.read_bytes() for path in sorted(run.output.rglob("*.safetensors"))}


def _poison(run: TrainingRun, step: int) -> bytes:
    """Let a row of that step begin with a token that no other has and whose embedding is NaN; return the row."""
    folder = run.workdir / "stages/tokenize/t/train"
    shards = TokenShards(folder)
    packs = np.arange(shards.pack_count)
    number = int(Order(packs=packs, seed=42, packs_per_step=8, last=None).of_step(step)[0])
    tokens = np.load(folder / "part-00000" / "tokens.npy")
    tokens[int(shards.tokens_per_pack[:number].sum())] = UNUSED_TOKEN
    np.save(folder / "part-00000" / "tokens.npy", tokens)
    model = run.workdir / "stages/weights/w/model"
    tensors = load_file(model / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.embed_tokens.weight"][UNUSED_TOKEN] = torch.nan
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    return shards.pack(number).rows[0]


def _fill(file: Path) -> None:
    """Leave less room than a checkpoint takes."""
    with file.open("wb", buffering=0) as sink, contextlib.suppress(OSError):  # training writes at the same time
        free = os.statvfs(file.parent)
        sink.write(b"\0" * max(0, free.f_bavail * free.f_frsize - 100_000))
