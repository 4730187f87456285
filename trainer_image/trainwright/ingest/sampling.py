"""Seeded samples of a source by hash of the row's id: the same rows whatever their order and the number of workers.

Rows are taken in the order of xxh3-64(seed, id) as long as their exchanges stay within the limit. Two passes over the
ids of the spill files: a histogram of the hash's upper bits finds the bucket where the limit falls, then its rows are
sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import polars_hash  # noqa: F401 - registers the expressions under .nchash

BUCKET_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows whose hash under `seed` is below `end`."""

    seed: int
    end: int

    def wanted(self) -> pl.Expr:
        """Says for each row whether it is in the sample."""
        return _hash(self.seed) < pl.lit(self.end, pl.UInt64)


def sample_of(spills: list[Path], limit: int, seed: int) -> Sample | None:
    """The sample of at most `limit` exchanges; None if there are no more than that."""
    buckets = np.zeros(1 << BUCKET_BITS, np.int64)
    for path in spills:
        rows = _hashed(path, seed)
        bucket = (rows["hash"].to_numpy() >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
        np.add.at(buckets, bucket, rows["exchanges"].to_numpy().astype(np.int64))
    totals = np.cumsum(buckets)
    if totals[-1] <= limit:
        return None
    last = int(np.searchsorted(totals, limit, "right"))
    first, end = last << (64 - BUCKET_BITS), (last + 1) << (64 - BUCKET_BITS)
    inside = pl.concat(
        _hashed(path, seed).filter(pl.col("hash").is_between(pl.lit(first, pl.UInt64), pl.lit(end - 1, pl.UInt64)))
        for path in spills
    ).sort("hash")
    taken = np.cumsum(inside["exchanges"].to_numpy().astype(np.int64)) + (totals[last] - buckets[last])
    return Sample(seed=seed, end=int(inside["hash"][int(np.searchsorted(taken, limit, "right"))]))


def _hashed(path: Path, seed: int) -> pl.DataFrame:
    return pl.scan_ipc(path).select(_hash(seed).alias("hash"), "exchanges").collect()


def _hash(seed: int) -> pl.Expr:
    return pl.concat_str(pl.lit(f"{seed}:"), pl.col("id").bin.encode("hex")).nchash.xxh3_64()  # type: ignore[attr-defined, no-any-return]
