"""The store under two writers that are killed again and again: 131,569 rows, each once, in the end."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import lancedb
import numpy as np
import polars as pl
from trainwright.index import lance, vectors

ROWS, PER_PART, WIDTH = 131_569, 40_000, 64
LOAD = """
import sys
from pathlib import Path
from trainwright.index import lance
sys.stdout.write(str(lance.load(Path(sys.argv[1]), Path(sys.argv[2]))))
"""


def write_vectors(folder: Path) -> None:
    dice = np.random.default_rng(0)
    for number, first in enumerate(range(0, ROWS, PER_PART)):
        n = min(PER_PART, ROWS - first)
        names = pl.int_range(first, first + n, eager=True).cast(pl.String)
        exchanges = pl.DataFrame(
            {
                "id": [dice.bytes(16) for _ in range(n)],
                "row": [dice.bytes(16) for _ in range(n)],
                "turn": pl.repeat(1, n, dtype=pl.UInt32, eager=True),
                "prompt": "question " + names,
                "response": "answer " + names,
                "source": pl.repeat("source", n, eager=True),
                "split": pl.repeat("train", n, eager=True),
            }
        )
        batch = vectors.batch_of(exchanges, dice.standard_normal((n, WIDTH)).astype(np.float32))
        vectors.write_part(iter([batch]), WIDTH, folder / f"part-{number:05d}.parquet")


def start(folder: Path, store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOAD, str(folder), str(store)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_two_writers_killed_five_times_leave_every_row_once(tmp_path: Path) -> None:
    folder, store = tmp_path / "vectors", tmp_path / "lancedb"
    write_vectors(folder)
    dice = random.Random(1)
    for _ in range(5):
        writers = [start(folder, store), start(folder, store)]
        _wait_until_writing(tmp_path, store, writers)
        time.sleep(dice.uniform(0.0, 0.3))
        for writer in writers:
            writer.kill()
            writer.communicate()
    writers = [start(folder, store), start(folder, store)]
    wrote = [writer.communicate()[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert wrote.count("True") <= 1
    table = lancedb.connect(store).open_table(lance.TABLE)
    assert table.count_rows() == ROWS
    assert len(set(table.to_arrow()["id"].to_pylist())) == ROWS
    assert len(table.list_versions()) == 1
    assert table.stats()["fragment_stats"]["num_fragments"] <= 64
    data = sum(batch.nbytes for batch in vectors.read_parts(folder))
    assert sum(path.stat().st_size for path in tmp_path.glob("*lancedb*/**/*") if path.is_file()) <= 1.3 * data
    assert not lance.load(folder, store)


def _wait_until_writing(folder: Path, store: Path, writers: list[subprocess.Popen[str]]) -> None:
    """Until a writer has begun to fill its folder, or both are done because the store was complete already."""
    while not any(folder.glob(".lancedb-*")) and not store.exists():
        assert any(writer.poll() is None for writer in writers), "both writers ended without a store"
        time.sleep(0.01)
