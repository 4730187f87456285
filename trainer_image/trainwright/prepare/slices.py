"""Slices: the pieces of a partition that one worker holds in memory at a time, cut from the data alone.

A slice is some row groups of a partition of ingest, as many as hold SLICE_BYTES of values; what the phases leave for
each other lies in Arrow files named after kind, partition and slice in a folder of work, gone when the stage is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from trainwright.formats.rows import part_files

SLICE_BYTES = 16_000_000
"""Large enough that the work in a slice outweighs its setting up, small enough to have several at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows `start` … `start + height` of one part of a rows folder."""

    part: Path
    partition: int
    number: int
    start: int
    height: int

    def read(self, *, columns: list[str] | None = None) -> pl.DataFrame:
        """The rows."""
        rows = pl.scan_parquet(self.part).slice(self.start, self.height)
        return (rows.select(columns) if columns else rows).collect()

    def path(self, work: Path, kind: str) -> Path:
        """Where the slice's file of this kind lies in the folder of work."""
        return work / kind / f"{self.partition:05d}-{self.number:05d}.arrow"

    def load(self, work: Path, kind: str, columns: list[str] | None = None) -> pl.DataFrame:
        """What an earlier phase left of this kind."""
        return pl.read_ipc(self.path(work, kind), columns=columns)

    def save(self, work: Path, kind: str, frame: pl.DataFrame) -> None:
        """Leave a frame for a later phase."""
        path = self.path(work, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_ipc(path)


def slices_of(rows: Path) -> list[Slice]:
    """All slices of a rows folder, in order; an empty part has one empty slice."""
    return [piece for path in part_files(rows) for piece in _slices_of_part(path)]


def _slices_of_part(path: Path) -> list[Slice]:
    """Whole row groups, in as many slices of about equal size as come nearest to SLICE_BYTES."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    total = sum(group.total_byte_size for group in groups)
    count = max(1, round(total / SLICE_BYTES))
    heights = [0] * count
    held = 0
    for group in groups:
        heights[min(held * count // max(total, 1), count - 1)] += group.num_rows
        held += group.total_byte_size
    starts = accumulate(heights, initial=0)
    partition = int(path.stem.rpartition("-")[2])
    return [
        Slice(part=path, partition=partition, number=number, start=start, height=height)
        for number, (start, height) in enumerate(zip(starts, heights, strict=False))
        if height or count == 1
    ]
