"""Cuts the rows of all sources into partitions and writes them: formats/rows.py, each sorted by id.

In: spill files in the order of sources and files. Out: rows/part-NNNNN.parquet. Where partitions begin depends on the
rows alone, never on processes, so that any number of workers writes the same files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.formats.rows import SCHEMA, write_part
from trainwright.ingest.limits import Limits
from trainwright.ingest.sampling import Sample

Sizes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """Rows of one file: the spill file, the source they belong to, and which of them are wanted (None: all)."""

    path: Path
    source: str
    sample: Sample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition to write: its number and the stretches of spill files (first row, end row of those wanted)."""

    number: int
    stretches: tuple[tuple[Spill, int, int], ...]
    folder: Path


def partitions(spills: list[Spill], limits: Limits, folder: Path) -> Iterator[Partition]:
    """Cut the wanted rows into as few partitions as the limits allow, about equally large.

    A partition ends before the row that would exceed its share; only a row that is larger by itself has one of its own.
    """
    share = _equal_share(spills, limits)
    number, left = 0, share
    stretches: list[tuple[Spill, int, int]] = []
    for spill in spills:
        totals = np.cumsum(_sizes(spill), axis=0)
        start, done = 0, np.zeros(2, np.int64)
        while start < len(totals):
            end = min(int(np.searchsorted(totals[:, n], done[n] + left[n], "right")) for n in range(2))
            end = max(end, start if stretches else start + 1)
            if end > start:
                stretches.append((spill, start, end))
                left = left - (totals[end - 1] - done)
                start, done = end, totals[end - 1]
            if start < len(totals):
                yield Partition(number=number, stretches=tuple(stretches), folder=folder)
                number, left, stretches = number + 1, share, []
    if stretches:
        yield Partition(number=number, stretches=tuple(stretches), folder=folder)


def _equal_share(spills: list[Spill], limits: Limits) -> Sizes:
    """Exchanges and bytes of one partition: an equal share of what needs more partitions, the limit of the other."""
    most = np.array([limits.partition_exchanges, limits.partition_bytes], np.int64)
    total = sum((_sizes(spill).sum(axis=0) for spill in spills), np.zeros(2, np.int64))
    counts = -(-total // most)
    scarce = int(np.argmax(counts))
    share = most.copy()
    share[scarce] = -(-total[scarce] // max(1, counts[scarce]))
    return share


def _sizes(spill: Spill) -> Sizes:
    """Exchanges and bytes of each wanted row, N x 2."""
    columns = _wanted(pl.scan_ipc(spill.path), spill).select(pl.col("exchanges", "bytes").cast(pl.Int64))
    return columns.collect().to_numpy()


def write_partition(partition: Partition) -> list[tuple[str, int, int]]:
    """Write one partition, its rows sorted by id; returns (source, rows, exchanges) of each stretch."""
    frames = [
        _wanted(pl.scan_ipc(spill.path), spill)
        .slice(start, end - start)
        .with_columns(pl.lit(spill.source).alias("source"))
        .collect()
        for spill, start, end in partition.stretches
    ]
    rows = pl.concat(frames, rechunk=False).sort("id")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMA.items() if name not in rows.columns]
    rows = rows.with_columns(absent).with_columns(pl.lit(1.0).alias("weight"))
    write_part(rows, partition.folder, partition.number)
    return [(frame["source"][0], frame.height, int(frame["exchanges"].sum())) for frame in frames]


def _wanted(rows: pl.LazyFrame, spill: Spill) -> pl.LazyFrame:
    return rows if spill.sample is None else rows.filter(spill.sample.wanted())
