"""What is posted while a pod works, over real HTTPS."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from trainwright import posts
from trainwright.blame import Rank
from trainwright.contract import PodReport
from trainwright.environment import Pod
from trainwright.posts import Poster

from tests.progress_server import ProgressServer, progress_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ProgressServer]:
    with progress_server(tmp_path) as started:
        yield started


@pytest.fixture
def pod(server: ProgressServer, tmp_path: Path) -> Pod:
    (tmp_path / "token").write_text("first\n")
    return Pod(
        name="run-train-2-0",
        attempt=2,
        run_config=tmp_path / "run.json",
        termination_log=tmp_path / "told",
        progress_url=f"{server.url}/runs/team/run",
        progress_token=tmp_path / "token",
        progress_ca=server.certificate,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def line(done: int, at: float) -> dict[str, object]:
    return {"time": at, "stage": "train", "done": done, "total": 40, "unit": "steps", "figures": {"loss": 2.5}}


def test_a_change_of_stage_is_posted_at_once_with_the_token_of_the_moment(
    server: ProgressServer, pod: Pod, tmp_path: Path
) -> None:
    poster = Poster(pod, lambda: PodReport(keys={"train": "k"}))
    poster.start()
    poster.begin("weights")
    wait_for(lambda: len(server.posts) == 1)
    (tmp_path / "token").write_text("second\n")
    poster.begin("train")
    wait_for(lambda: len(server.posts) == 2)
    poster.stop()
    assert [token for _, token, _ in server.posts] == ["Bearer first", "Bearer second"]
    assert {path for path, _, _ in server.posts} == {"/runs/team/run/pod"}
    newest = server.posts[-1][2]
    assert (newest.pod, newest.attempt, newest.stage) == ("run-train-2-0", 2, "train")
    assert newest.report == PodReport(keys={"train": "k"})


def test_figures_of_the_training_have_its_speed_and_epoch(pod: Pod) -> None:
    poster = Poster(pod, lambda: PodReport.model_validate({"evaluations": [{"step": 4, "loss": 2.25}]}), epochs=2.0)
    poster.begin("train")
    poster.line({"time": 99.0, "level": "INFO", "message": "no progress"})
    poster.line(line(10, 100.0))
    poster.line(line(14, 102.0))
    said = poster.progress()
    assert (said.done, said.total, said.unit) == (14, 40, "steps")
    assert said.figures == {"loss": 2.5, "secondsPerStep": 0.5, "epoch": 0.7, "validationLoss": 2.25}


def test_a_rank_that_is_silent_grows_old_and_one_that_ended_is_not_told(pod: Pod, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    now = time.monotonic()
    ranks = [
        Rank(number=number, process=process, verdict_path=tmp_path, heard=now - age, step=7, ended=ended)
        for number, age, ended in ((4, 1.0, None), (5, 45.0, None), (6, 90.0, 1.0))
    ]
    poster = Poster(pod, PodReport)
    poster.begin("train")
    poster.watch(ranks)
    said = {rank.rank: rank for rank in poster.progress().ranks}
    assert set(said) == {4, 5}
    assert said[4].heartbeat_age_seconds == pytest.approx(1.0, abs=0.5)
    assert said[5].heartbeat_age_seconds == pytest.approx(45.0, abs=0.5)
    assert said[5].step == 7
    poster.begin("evaluate")
    assert poster.progress().ranks == []


def test_an_address_that_does_not_answer_is_logged_once(
    pod: Pod, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts, "INTERVAL_S", 0.01)
    asked: list[int] = []

    def report() -> PodReport:
        asked.append(1)
        return PodReport()

    poster = Poster(replace(pod, progress_url="https://127.0.0.1:9/runs/a/b"), report)
    with caplog.at_level(logging.WARNING):
        poster.start()
        poster.begin("train")
        wait_for(lambda: len(asked) > 3)
        poster.stop()
    assert len(caplog.records) == 1
    assert "cannot be posted" in caplog.text


def test_a_server_with_another_certificate_is_not_trusted(
    server: ProgressServer, pod: Pod, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    with progress_server(tmp_path / "other") as other, caplog.at_level(logging.WARNING):
        poster = Poster(replace(pod, progress_ca=other.certificate), PodReport)
        poster.start()
        poster.begin("train")
        wait_for(lambda: bool(caplog.records))
        poster.stop()
    assert server.posts == []
    assert "certificate verify failed" in caplog.text
