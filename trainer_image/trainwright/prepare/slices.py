"""Slices: the pieces of a partition that one worker holds in memory at a time, cut from the data alone.

A partition of ingest is read in slices of SLICE_ROWS rows; what the phases leave for each other lies in Arrow files
named after kind, partition and slice in a folder of work, which is gone when the stage has finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trainwright.formats.rows import part_files

SLICE_ROWS = 16_384
"""As many rows as there are in a row group of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows `number * SLICE_ROWS` … of one part of a rows folder."""

    part: Path
    partition: int
    number: int

    def read(self, *, columns: list[str] | None = None) -> pl.DataFrame:
        """The rows."""
        rows = pl.scan_parquet(self.part).slice(self.number * SLICE_ROWS, SLICE_ROWS)
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
    found = []
    for path in part_files(rows):
        height = pl.scan_parquet(path).select(pl.len()).collect().item()
        for number in range(max(1, -(-height // SLICE_ROWS))):
            found.append(Slice(part=path, partition=int(path.stem.rpartition("-")[2]), number=number))
    return found
