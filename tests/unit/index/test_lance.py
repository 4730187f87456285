"""The store: one version, no leftovers, loaded by one writer at a time, whole or not at all."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import lancedb
import numpy as np
import polars as pl
import pytest
from trainwright.errors import RetryLater
from trainwright.index import lance, vectors

WIDTH = 32


def write_vectors(folder: Path, count: int, *, seed: int = 0) -> Path:
    """Parts of 1,000 random vectors each."""
    dice = np.random.default_rng(seed)
    for number, first in enumerate(range(0, count, 1000)):
        n = min(1000, count - first)
        exchanges = pl.DataFrame(
            {
                "id": [dice.bytes(16) for _ in range(n)],
                "row": [dice.bytes(16) for _ in range(n)],
                "turn": pl.Series([1] * n, dtype=pl.UInt32),
                "prompt": [f"question {first + i}" for i in range(n)],
                "response": [f"answer {first + i}" for i in range(n)],
                "source": ["source"] * n,
                "split": ["train"] * n,
            }
        )
        batch = vectors.batch_of(exchanges, dice.standard_normal((n, WIDTH)).astype(np.float32))
        vectors.write_part(iter([batch]), WIDTH, folder / f"part-{number:05d}.parquet")
    return folder


def test_store_holds_every_row_once_in_one_version(tmp_path: Path) -> None:
    folder, store = write_vectors(tmp_path / "vectors", 2500), tmp_path / "lancedb"
    assert lance.load(folder, store)
    table = lancedb.connect(store).open_table(lance.TABLE)
    assert table.count_rows() == 2500
    assert len(set(table.to_arrow()["id"].to_pylist())) == 2500
    assert len(table.list_versions()) == 1
    assert table.stats()["fragment_stats"]["num_fragments"] <= 2


def test_store_is_at_most_1_3_times_its_data(tmp_path: Path) -> None:
    folder, store = write_vectors(tmp_path / "vectors", 5000), tmp_path / "lancedb"
    lance.load(folder, store)
    data = sum(batch.nbytes for batch in vectors.read_parts(folder))
    assert sum(path.stat().st_size for path in store.rglob("*") if path.is_file()) <= 1.3 * data


def test_second_load_writes_nothing(tmp_path: Path) -> None:
    folder, store = write_vectors(tmp_path / "vectors", 1500), tmp_path / "lancedb"
    assert lance.load(folder, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    assert not lance.load(folder, store)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_other_vectors_replace_the_store_whole(tmp_path: Path) -> None:
    store = tmp_path / "lancedb"
    lance.load(write_vectors(tmp_path / "first", 1500), store)
    assert lance.load(write_vectors(tmp_path / "second", 700, seed=1), store)
    table = lancedb.connect(store).open_table(lance.TABLE)
    assert table.count_rows() == 700
    assert len(table.list_versions()) == 1


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".lancedb-killed" / "exchanges.lance"
    left.mkdir(parents=True)
    (left / "half.lance").write_bytes(b"x" * 1000)
    lance.load(write_vectors(tmp_path / "vectors", 10), tmp_path / "lancedb")
    assert not left.parent.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lancedb.lock", "lancedb", "vectors"]


def test_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    folder, store = write_vectors(tmp_path / "vectors", 10), tmp_path / "lancedb"
    with (tmp_path / ".lancedb.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=lance.load, args=(folder, store))
        second.start()
        second.join(timeout=0.3)
        assert second.is_alive()
        assert not store.exists()
    second.join(timeout=10)
    assert store.exists()


def test_writer_that_waits_too_long_is_told_to_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "WAIT_S", 0.1)
    with (tmp_path / ".lancedb.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(RetryLater, match="another process"):
            lance.load(write_vectors(tmp_path / "vectors", 10), tmp_path / "lancedb")


def test_many_rows_get_an_approximate_index_that_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "INDEX_FROM_ROWS", 2000)
    folder, store = write_vectors(tmp_path / "vectors", 3000), tmp_path / "lancedb"
    lance.load(folder, store)
    assert len(lancedb.connect(store).open_table(lance.TABLE).list_indices()) == 1
    wanted = pl.read_parquet(folder / "part-00001.parquet").row(5, named=True)
    found = lance.nearest(store, np.asarray(wanted["vector"], dtype=np.float32), 1, "split = 'train'")
    assert found[0]["id"] == wanted["id"]
