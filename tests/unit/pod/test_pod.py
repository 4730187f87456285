"""PID 1 of a pod, without a stage: settings that are wrong, keys that are pinned, orphans, a node's place in a gang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trainwright import environment
from trainwright.errors import BadInput
from trainwright.survey import pinned

from tests.local.run.conftest import rows, write_jsonl, write_run
from tests.pods import Workspace, workspace

ORPHAN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''])"


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    write_jsonl(tmp_path / "rows.jsonl", rows(3))
    return workspace(tmp_path / "run", write_run(tmp_path))


def test_a_stage_that_is_none_of_the_runs_ends_the_pod_with_2_and_says_so(space: Workspace) -> None:
    code, report = space.start("pod", "index").wait()
    assert code == 2
    assert report.failure is not None
    assert report.failure.reason == "BadInput"
    assert "'index' is no stage of this run" in report.failure.message


def test_settings_that_cannot_be_read_end_the_pod_with_2(space: Workspace) -> None:
    (space.folder / "etc" / "run.json").write_text("{}")
    code, report = space.start("pod", "weights").wait()
    assert (code, report.failure.reason if report.failure else "") == (2, "BadInput")


def test_keys_are_pinned_once_and_need_no_sources_later(space: Workspace, tmp_path: Path) -> None:
    file = space.run_folder / "keys.json"
    file.parent.mkdir(parents=True)
    first = {step.stage.name: step.key for step in pinned(space.config, file)}
    (tmp_path / "rows.jsonl").unlink()
    again = pinned(space.config, file)
    assert {step.stage.name: step.key for step in again} == first
    assert again[0].ingredients == json.loads(file.read_text())[again[0].stage.name]["ingredients"]


def test_keys_that_cannot_be_read_are_told_by_their_file(space: Workspace) -> None:
    file = space.run_folder / "keys.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"weights": {}}')
    with pytest.raises(BadInput, match=r"keys\.json cannot be used"):
        pinned(space.config, file)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help is Linux's")
def test_orphans_are_reaped_and_known_children_left_to_their_parent() -> None:
    environment.adopt_orphans()
    known = subprocess.Popen([sys.executable, "-c", ORPHAN])
    deadline = time.monotonic() + 10
    while known.poll() is None:
        environment.reap_orphans({known.pid})
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert known.returncode == 0
    while _zombies():
        environment.reap_orphans(set())
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_nodes_ranks_follow_those_of_the_nodes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PET_NNODES": "4",
        "PET_NPROC_PER_NODE": "8",
        "PET_NODE_RANK": "2",
        "PET_MASTER_ADDR": "run-train-1-0.run-gang",
        "PET_MASTER_PORT": "29500",
    }.items():
        monkeypatch.setenv(name, value)
    gang = environment.gang()
    assert gang is not None
    assert gang.count == 32
    variables = environment.rank_environment(3, gang, gang.port)
    assert variables == {
        "RANK": "19",
        "LOCAL_RANK": "3",
        "WORLD_SIZE": "32",
        "LOCAL_WORLD_SIZE": "8",
        "MASTER_ADDR": "run-train-1-0.run-gang",
        "MASTER_PORT": "29500",
    }


def test_a_gang_of_one_node_meets_on_the_loopback_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PET_NNODES", "1")
    monkeypatch.setenv("PET_NPROC_PER_NODE", "2")
    gang = environment.gang()
    assert gang == environment.one_node(2)
    assert environment.rank_environment(1, gang, 4711)["MASTER_ADDR"] == "127.0.0.1"


def _zombies() -> list[int]:
    own = os.getpid()
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z" and int(fields[1]) == own:
            found.append(int(path.parent.name))
    return found
