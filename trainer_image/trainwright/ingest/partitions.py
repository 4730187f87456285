"""Cuts the rows of all sources into partitions and writes them: formats/rows.py, each sorted by id.

In: spill files in the order of sources and files. Out: rows/part-NNNNN.parquet. Where partitions begin depends on the
rows alone, never on processes, so that any number of workers writes the same files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from trainwright.formats.rows import SCHEMA, write_part
from trainwright.ingest.limits import Limits
from trainwright.ingest.sampling import Sample


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
    """Cut the wanted rows into partitions: a partition ends before the row that would exceed a limit."""
    number, exchanges, size = 0, 0, 0
    stretches: list[tuple[Spill, int, int]] = []
    for spill in spills:
        counts = _wanted(pl.scan_ipc(spill.path), spill).select("exchanges", "bytes").collect()
        start = 0
        totals = np.cumsum(counts["exchanges"].to_numpy().astype(np.int64))
        sizes = np.cumsum(counts["bytes"].to_numpy().astype(np.int64))
        while start < len(counts):
            done, written = (int(totals[start - 1]), int(sizes[start - 1])) if start else (0, 0)
            end = min(
                int(np.searchsorted(totals, done + limits.partition_exchanges - exchanges, "right")),
                int(np.searchsorted(sizes, written + limits.partition_bytes - size, "right")),
            )
            if end == start and not stretches:
                end = start + 1
            if end > start:
                stretches.append((spill, start, end))
                exchanges += int(totals[end - 1]) - done
                size += int(sizes[end - 1]) - written
            if end < len(counts):
                yield Partition(number=number, stretches=tuple(stretches), folder=folder)
                number, exchanges, size, stretches = number + 1, 0, 0, []
            start = end
    if stretches:
        yield Partition(number=number, stretches=tuple(stretches), folder=folder)


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
