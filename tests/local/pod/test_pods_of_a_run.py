"""A run by its pods' commands, as real processes in a temporary workspace: data, a gang of two nodes, finish."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from trainwright.artifacts import Fence, Owner
from trainwright.contract import PodReport

from tests.local.run.conftest import Command, rows, write_jsonl, write_run
from tests.pods import DATA, FINISH, UID, Workspace, wait_for, workspace
from tests.progress_server import ProgressServer, progress_server

SPEC: dict[str, Any] = {
    "training": {"maxSteps": 12, "batchTokens": 256, "sequenceLength": 64, "learningRate": 1e-3},
    "evaluation": {"every": 4, "maxRows": 20, "generate": {"rows": 4, "maxNewTokens": 4}},
    "checkpoint": {"interval": "0s", "keep": 2},
}


@dataclass(frozen=True)
class Finished:
    """A run that its pods have brought to its end."""

    space: Workspace
    reports: dict[str, PodReport]
    server: ProgressServer


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows and the run's file."""
    folder = tmp_path_factory.mktemp("source")
    write_jsonl(folder / "rows.jsonl", rows(200))
    return write_run(folder, SPEC)


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """The run, undisturbed, with a server that takes its posts."""
    folder = tmp_path_factory.mktemp("cluster")
    with progress_server(folder) as server:
        (folder / "token").write_text("a token\n")
        told = {
            "TRAINWRIGHT_PROGRESS_URL": f"{server.url}/runs/team/small",
            "TRAINWRIGHT_PROGRESS_TOKEN": str(folder / "token"),
            "TRAINWRIGHT_PROGRESS_CA": str(server.certificate),
        }
        space = workspace(folder / "run", source, variables=told)
        reports = {"data": well(space, "data-1", DATA)}
        source.parent.joinpath("rows.jsonl").rename(source.parent / "away")  # nobody needs the sources any more
        for pod in space.start_gang():
            code, reports[pod.name] = pod.wait()
            assert code == 0, pod.words()
        reports["finish"] = well(space, "finish-1", FINISH)
        source.parent.joinpath("away").rename(source.parent / "rows.jsonl")
        yield Finished(space=space, reports=reports, server=server)


@pytest.fixture(scope="module")
def prepared(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose data pod is done; not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("prepared") / "run"
    well(workspace(folder, source), "data-1", DATA)
    return folder


def copy_of(prepared: Path, folder: Path, source: Path) -> Workspace:
    """The same run in another place."""
    space = workspace(folder, source)
    shutil.copytree(prepared / "workspace", folder / "workspace", dirs_exist_ok=True)
    return space


def well(space: Workspace, name: str, stages: str, attempt: int = 1) -> PodReport:
    """Run a pod that must succeed."""
    pod = space.start(name, stages, attempt=attempt)
    code, report = pod.wait()
    assert (code, report.failure) == (0, None), pod.words()
    return report


def losses(folder: Path) -> list[float]:
    """The loss of each step, as written."""
    return [json.loads(line)["loss"] for line in (folder / "steps.jsonl").read_text("utf-8").splitlines()]


def test_pods_train_to_the_same_bits_as_one_machine(
    run: Finished, source: Path, tmp_path: Path, trainwright: Command
) -> None:
    done = trainwright("run", source, "--workdir", tmp_path / "local", "--processes", 2, "--until", "train")
    assert done.returncode == 0, done.stderr + done.stdout
    key = run.space.keys()["train"]
    local = tmp_path / "local" / "stages" / "train" / key
    trained = run.space.output("train")
    assert losses(trained) == losses(local)
    assert len(losses(local)) == SPEC["training"]["maxSteps"]
    for step in ("step-12", f"step-{run.reports['finish'].best.step}"):  # type: ignore[union-attr]
        weights = [folder / "candidates" / step / "model.safetensors" for folder in (trained, local)]
        assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_first_pod_tells_all_keys_the_plan_and_what_became_of_the_rows(run: Finished) -> None:
    report = run.reports["data"]
    assert report.keys == run.space.keys()
    assert set(report.keys) == {
        "weights", "ingest", "prepare", "tokenize", "train", "evaluate", "export", "report"
    }  # fmt: skip
    assert {name: entry.state for name, entry in report.stages.items()} == dict.fromkeys(
        ("weights", "ingest", "prepare", "tokenize"), "Succeeded"
    )
    assert report.plan is not None
    assert (report.plan.steps, report.plan.zero_stage) == (12, 1)
    assert report.data is not None
    assert report.data.rows_in == 200
    assert report.data.fingerprint


def test_the_gang_tells_its_validations_the_best_and_the_newest_checkpoint(run: Finished) -> None:
    for name in ("train-1-0", "train-1-1"):
        report = run.reports[name]
        assert report.stages["train"].state == "Succeeded"
        assert [each.step for each in report.evaluations or ()] == [0, 4, 8, 12]
        assert report.best is not None
        assert report.best.uri == f"pvc://small-workspace/stages/train/{report.keys['train']}/candidates/step-12"
        assert report.checkpoint is not None
        assert report.checkpoint.uri.endswith("/checkpoints/step-12")


def test_the_last_pod_tells_the_result_and_where_it_lies(run: Finished) -> None:
    report = run.reports["finish"]
    assert report.result is not None
    assert report.result.loss is not None
    assert report.output is not None
    assert report.output.uri == f"pvc://small-workspace/runs/{UID}/model"
    assert report.output.digest
    assert [each.step for each in report.evaluations or () if each.bleu is not None]
    for name in ("model/model.safetensors", "report.html", "metrics.json", "plan.json"):
        assert (run.space.run_folder / name).is_file()


def test_posts_tell_each_stage_at_once_and_the_ranks_signs_of_life(run: Finished) -> None:
    paths = {(path, token) for path, token, _ in run.server.posts}
    assert paths == {("/runs/team/small/pod", "Bearer a token")}
    assert run.server.of("data-1")[0].stage == "weights"
    assert {"ingest", "prepare", "tokenize"} <= {post.stage for post in run.server.of("data-1")}
    for node in (0, 1):
        posts = run.server.of(f"train-1-{node}")
        assert posts, "the gang never posted"
        assert {rank.rank for post in posts for rank in post.ranks} <= {node}


def test_finished_stages_are_reused_and_say_so(run: Finished) -> None:
    again = well(run.space, "data-2", DATA, attempt=2)
    assert {entry.state for entry in again.stages.values()} == {"Reused"}
    assert again.keys == run.reports["data"].keys
    assert again.data == run.reports["data"].data


def test_nothing_half_made_is_left(run: Finished) -> None:
    stages = run.space.config.workdir / "stages"
    assert not list(stages.glob("*/.*"))
    assert not list(stages.rglob("*.tmp"))


def test_a_gang_that_lost_a_rank_goes_on_from_its_checkpoint_to_the_same_bits(
    run: Finished, prepared: Path, source: Path, tmp_path: Path
) -> None:
    space = copy_of(prepared, tmp_path / "run", source)
    first, second = space.start_gang()
    wait_for(lambda: any(space.output("train").glob("checkpoints/step-[3-9]/manifest.json")), first)
    os.kill(second.ranks()[0], signal.SIGKILL)
    verdicts = [pod.wait() for pod in (first, second)]
    assert [code for code, _ in verdicts] == [3, 3], first.words() + second.words()
    failures = [report.failure for _, report in verdicts]
    assert [failure.reason for failure in failures if failure] == ["RankCrashed", "RankCrashed"]
    assert failures[1] is not None
    assert failures[1].rank == 1
    assert "SIGKILL" in failures[1].message
    report = verdicts[0][1]
    assert report.stages["train"].state == "Failed"
    assert report.checkpoint is not None
    assert report.checkpoint.step >= 3
    for pod in space.start_gang(attempt=2):
        code, report = pod.wait()
        assert (code, report.failure) == (0, None), pod.words()
    assert f"going on after step {verdicts[0][1].checkpoint.step}" in (space.folder / "train-2-0.log").read_text()  # type: ignore[union-attr]
    assert losses(space.output("train")) == losses(run.space.output("train"))


def test_a_stopped_gang_writes_a_checkpoint_and_ends_with_75(prepared: Path, source: Path, tmp_path: Path) -> None:
    space = copy_of(prepared, tmp_path / "run", source)
    pods = space.start_gang()
    wait_for(lambda: any(space.output("train").glob("checkpoints/step-*/manifest.json")), pods[0])
    pods[1].stop()
    for pod in pods:
        code, report = pod.wait()
        assert code == 75, pod.words()
        assert report.failure is not None
        assert report.failure.reason == "Stopped"


def test_a_stale_attempt_stops_when_another_has_begun(prepared: Path, source: Path, tmp_path: Path) -> None:
    space = copy_of(prepared, tmp_path / "run", source)
    (stale,) = space.start_gang(nodes=1)
    wait_for(lambda: any(space.output("train").glob("checkpoints/step-*/manifest.json")), stale)
    Fence(folder=space.output("train"), owner=Owner(run=UID, attempt=2)).take()
    steps = len(losses(space.output("train")))
    code, report = stale.wait()
    assert code == 3, stale.words()
    assert report.failure is not None
    assert report.failure.reason == "RetryLater"
    assert len(losses(space.output("train"))) <= steps + 1
    assert not (space.output("train") / "done.json").exists()


def test_a_halved_micro_batch_trains_the_same_model(
    run: Finished, prepared: Path, source: Path, tmp_path: Path
) -> None:
    space = copy_of(prepared, tmp_path / "run", source)
    for pod in space.start_gang(TRAINWRIGHT_HALVINGS="5"):
        code, _ = pod.wait()
        assert code == 0, pod.words()
    done = json.loads((space.output("train") / "done.json").read_text("utf-8"))
    assert done["metrics"]["microBatch"] == 1
    assert losses(space.output("train")) == pytest.approx(losses(run.space.output("train")), rel=1e-2)


def test_preflight_refuses_tokens_that_are_broken(prepared: Path, source: Path, tmp_path: Path) -> None:
    space = copy_of(prepared, tmp_path / "run", source)
    shard = space.output("tokenize") / "train" / "part-00000" / "tokens.npy"
    shard.write_bytes(shard.read_bytes()[:-64])
    code, report = space.start("preflight-1", "preflight").wait()
    assert code == 2
    assert report.failure is not None
    assert (report.failure.reason, report.failure.stage) == ("PreflightFailed", "train")
    assert "part-00000" in report.failure.message
