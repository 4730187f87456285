"""The launcher: what becomes of a stage's processes, and whose error is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainwright import artifacts, cgroup, environment, errors, launcher
from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.blame import Rank
from trainwright.contract import STAGE, RunConfig
from trainwright.errors import TrainwrightError
from trainwright.progress import HEARTBEAT
from trainwright.stage_process import Job

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, str(ROOT / "tests" / "data" / "train" / "pretended_stage.py"))


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(launcher, "PROGRAM", PROGRAM)
    spec = Spec.model_validate({"model": {"from": "./m"}, "data": {"sources": [{"uri": "./x"}]}})
    config = RunConfig(name="run", spec=spec, workdir=tmp_path, base_folder=tmp_path)
    artifacts.write_json(tmp_path / "run.json", config.model_dump(mode="json", by_alias=True))
    return tmp_path


def start(workdir: Path, behaviour: str, on_line: Callable[[dict[str, Any]], None] = lambda line: None) -> Artifact:
    output = artifacts.begin(workdir, STAGE["train"], "key", anew=artifacts.find(workdir, "train", "key") is not None)
    variables = {"BEHAVIOUR": behaviour, "PYTHONPATH": str(ROOT / "trainer_image")}
    job = Job(stage="train", key="key", output=str(output), facts={"ingredients": {"a": 1}})
    count = len(behaviour.split())
    return launcher.run_stage(
        workdir / "run.json",
        job,
        gang=environment.one_node(count),
        variables=variables,
        listener=launcher.Listener(on_line=on_line),
    )


def failure(workdir: Path, behaviour: str) -> TrainwrightError:
    with pytest.raises(TrainwrightError) as caught:
        start(workdir, behaviour)
    return caught.value


def test_a_finished_stage_comes_back_as_its_artifact_with_the_facts_of_its_making(workdir: Path) -> None:
    lines: list[dict[str, Any]] = []
    done = start(workdir, "0:publish", lines.append).done
    assert (done["counts"], done["ingredients"], done["attempt"]) == ({"things": 3}, {"a": 1}, 1)
    assert done["metrics"]["threads"] == done["threads"] == 1
    assert done["seconds"] >= 0
    assert done["versions"]["python"]
    assert [line["done"] for line in lines if "done" in line] == [2]
    assert "words that are no JSON" in (workdir / "logs" / "train.log").read_text()


def test_a_ranks_heartbeat_is_heard_and_goes_into_no_log(workdir: Path) -> None:
    lines: list[dict[str, Any]] = []
    ranks: list[Rank] = []
    output = artifacts.begin(workdir, STAGE["train"], "key")
    launcher.run_stage(
        workdir / "run.json",
        Job(stage="train", key="key", output=str(output)),
        variables={"BEHAVIOUR": "0:publish", "PYTHONPATH": str(ROOT / "trainer_image"), "STEP": "7"},
        listener=launcher.Listener(on_line=lines.append, on_ranks=ranks.extend),
    )
    assert [(rank.number, rank.step) for rank in ranks] == [(0, 7)]
    assert not [line for line in lines if HEARTBEAT in line]
    assert HEARTBEAT not in (workdir / "logs" / "train.log").read_text()


def test_the_attempt_counts_the_starts_under_one_key(workdir: Path) -> None:
    failure(workdir, "0:defect")
    assert start(workdir, "0:publish").done["attempt"] == 2


def test_a_stage_that_is_done_is_made_anew_when_asked(workdir: Path) -> None:
    start(workdir, "0:publish")
    assert isinstance(failure(workdir, "0:bad_input"), errors.BadInput)


def test_an_error_keeps_its_class_text_hint_step_and_exit_code(workdir: Path) -> None:
    told = failure(workdir, "0:bad_input")
    assert isinstance(told, errors.BadInput)
    assert (told.message, told.hint, told.exit_code) == ("the file x.jsonl is empty", "fill it", 2)
    assert failure(workdir, "0:non_finite").step == 7


@pytest.mark.parametrize(
    ("behaviour", "kind", "rank"),
    [
        ("0:peer_gone_at_once 1:killed", errors.RankCrashed, 1),
        ("0:peer_gone_at_once 1:killed_late", errors.RankCrashed, 1),
        ("0:peer_gone_at_once 1:non_finite", errors.NonFinite, 1),
        ("0:full 1:peer_gone", errors.WorkspaceFull, 0),
        ("0:killed 1:hang", errors.RankCrashed, 0),
        ("0:hang 1:bad_input", errors.BadInput, 1),
    ],
)
def test_the_rank_that_failed_by_itself_is_blamed(
    workdir: Path, behaviour: str, kind: type[TrainwrightError], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "PEERS_GRACE_S", 1.5)
    told = failure(workdir, behaviour)
    assert (type(told), told.rank) == (kind, rank)


def test_a_full_disk_names_the_path_and_the_way_out(workdir: Path) -> None:
    told = failure(workdir, "0:full")
    assert "stages/train/key/part" in told.message
    assert "bytes are free" in told.message
    assert "make room" in told.hint
    assert told.exit_code == errors.EXIT_RETRY


def test_a_failed_allocation_is_out_of_memory(workdir: Path) -> None:
    assert isinstance(failure(workdir, "0:no_memory"), errors.OutOfMemory)


def test_an_unforeseen_error_names_the_log_which_holds_the_trace(workdir: Path) -> None:
    told = failure(workdir, "0:defect")
    assert "ZeroDivisionError: of all things" in told.message
    assert str(workdir / "logs" / "train.log") in told.hint
    assert "Traceback" in (workdir / "logs" / "train.log").read_text()


def test_a_kill_by_the_kernel_for_memory_is_told_from_any_other(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([3, 4])
    monkeypatch.setattr(cgroup, "oom_kills", lambda: next(counts))
    monkeypatch.setattr(cgroup, "memory", lambda: cgroup.Memory(limit_bytes=8_000_000_000, peak_bytes=7_999_000_000))
    told = failure(workdir, "0:killed")
    assert isinstance(told, errors.OutOfMemory)
    assert "7,999,000,000 bytes, its limit is 8,000,000,000 bytes" in told.message


def test_a_stop_request_reaches_every_rank_and_ends_as_stopped(workdir: Path) -> None:
    threading.Thread(target=_interrupt_when, args=(workdir, ["ready-0", "ready-1"]), daemon=True).start()
    told = failure(workdir, "0:stop_politely 1:stop_politely")
    assert (type(told), told.exit_code) == (errors.Stopped, errors.EXIT_STOPPED)
    assert told.message == "stopped after step 5"


def test_a_stage_that_only_dies_of_the_stop_request_was_stopped_too(workdir: Path) -> None:
    threading.Thread(target=_interrupt_when, args=(workdir, ["pid-0"]), daemon=True).start()
    assert isinstance(failure(workdir, "0:hang"), errors.Stopped)


def test_what_a_stage_started_ends_with_it(workdir: Path) -> None:
    threading.Thread(target=_interrupt_when, args=(workdir, ["child"]), daemon=True).start()
    failure(workdir, "0:hang_with_child")
    child = int((workdir / "stages/train/key/child").read_text())
    _wait_for(lambda: not _is_alive(child), limit_s=5)  # the kernel ends it a moment after the signal


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help is Linux's")
def test_ranks_die_with_a_launcher_that_is_killed(workdir: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from trainwright import launcher;"
        "from trainwright.environment import one_node; from trainwright.stage_process import Job;"
        "launcher.PROGRAM = (sys.executable, sys.argv[3]);"
        "w = Path(sys.argv[2]);"
        "launcher.run_stage(w / 'run.json', Job(stage='train', key='key', output=str(w / 'out')), gang=one_node(2),"
        "variables={'BEHAVIOUR': '0:hang 1:hang', 'PYTHONPATH': sys.argv[1]})"
    )
    (workdir / "out").mkdir()
    parent = subprocess.Popen([sys.executable, "-c", code, str(ROOT / "trainer_image"), str(workdir), PROGRAM[1]])
    files = [workdir / "out" / f"pid-{rank}" for rank in (0, 1)]
    _wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _wait_for(lambda: not any(_is_alive(int(file.read_text())) for file in files))


def _interrupt_when(workdir: Path, names: list[str]) -> None:
    _wait_for(lambda: all((workdir / "stages/train/key" / name).exists() for name in names))
    os.kill(os.getpid(), signal.SIGINT)


def _wait_for(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_job_that_is_missing_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(errors.BadInput, match=r"jobs/train\.json"):
        Job.read(tmp_path / "run.json", "train")
    assert json.dumps(Job(stage="a", key="b", output="c").facts) == "{}"
