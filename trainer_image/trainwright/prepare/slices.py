"""Slices: the pieces of a partition that one worker holds in memory at a time, cut from the data alone.

A partition of ingest is read in slices of SLICE_ROWS rows; what the phases leave for each other lies in files named
after partition and slice in a folder of work, which is gone when the stage has finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trainwright.formats.rows import part_files

SLICE_ROWS = 16_384
"""As many rows as ingest puts into a row group of Parquet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows `start` … `start + SLICE_ROWS` of one part of ingest."""

    source: Path
    partition: int
    number: int

    def read(self) -> pl.DataFrame:
        """The rows."""
        return pl.scan_parquet(self.source).slice(self.number * SLICE_ROWS, SLICE_ROWS).collect()

    def path(self, work: Path, kind: str) -> Path:
        """Where the slice's file of this kind lies in the folder of work."""
        return work / kind / f"{self.partition:05d}-{self.number:05d}.parquet"


def slices_of(rows: Path) -> list[Slice]:
    """All slices of a rows folder, in order; an empty part has one empty slice."""
    found = []
    for path in part_files(rows):
        height = pl.scan_parquet(path).select(pl.len()).collect().item()
        count = max(1, -(-height // SLICE_ROWS))
        found += [
            Slice(source=path, partition=int(path.stem.rpartition("-")[2]), number=number) for number in range(count)
        ]
    return found
