"""Preparation with real worker processes: 1, 3 and 16 of them write the same bytes, and a killed one is told."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from pathlib import Path

import polars as pl
import pytest
from trainwright.errors import OutOfMemory
from trainwright.prepare import stage
from trainwright.workers import Workers

from tests.factories import rows_frame
from tests.unit.prepare.chat import chat
from tests.unit.prepare.preparing import Prepared, prepare
from tests.unit.prepare.test_stage import mixed


def test_one_three_and_sixteen_workers_write_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SLICES_PER_WORKER", 1)
    rows = pl.concat([mixed(), rows_frame(*chat(300, 50))]).unique("id").sort("id")
    split = {"validation": 0.05, "test": 0.05}
    one, three, sixteen = (
        files(prepare(tmp_path, rows, split=split, partitions=17, workers=workers, name=f"w{workers}"))
        for workers in (1, 3, 16)
    )
    assert one == three == sixteen
    assert len(one) == 2 * 17 + 1


def test_a_killed_worker_is_told_as_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="one of 2 worker processes was killed"), Workers(2) as workers:
        list(workers.map(_die, [1, 2, 3]))


def _die(task: int) -> int:
    if multiprocessing.parent_process():
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def files(done: Prepared) -> dict[str, str]:
    return {
        str(path.relative_to(done.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(done.folder.rglob("*"))
        if path.is_file()
    }
