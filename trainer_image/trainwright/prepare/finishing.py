"""finish: the last phase, one partition at a time: mapped rows → the stage's rows and dropped rows.

Targets that are duplicates lose their loss, conversations without a target go, every row gets its split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from trainwright.formats.rows import FLAG_DUPLICATE, write_part
from trainwright.prepare.batch import Batch, Tally
from trainwright.prepare.slices import Slice
from trainwright.prepare.split import Chosen, group_hash
from trainwright.prepare.work import Work

USE_SPLIT = {"Train": "train", "Validation": "validation", "Test": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTask:
    """One partition to finish."""

    work: Work
    slices: list[Slice]
    chosen: Chosen


def finish_partition(task: FinishTask) -> list[Tally]:
    """Write `rows/part-N` and `dropped/part-N` of one partition."""
    work, partition = task.work, task.slices[0].partition
    tally = Tally(step="deduplicate")
    rows, dropped = [], []
    for piece in task.slices:
        batch = Batch(pl.read_parquet(piece.path(work.folder, "mapped")), work.spared)
        of_slice = batch.begin("deduplicate")
        losers = pl.read_parquet(piece.path(work.folder, "losers"))
        turns = batch.turns.select("row", "turn").join(losers, on=["row", "turn"], how="left", maintain_order="left")
        for reason in ("exact", "near"):
            batch.exclude((turns["reason"] == reason).fill_null(False).to_numpy(), reason, FLAG_DUPLICATE)
        batch.end()
        tally.add(of_slice)
        rows.append(with_split(batch.kept_rows(), work, task.chosen))
        dropped += [pl.read_parquet(piece.path(work.folder, "dropped")), batch.dropped_rows()]
    write_part(pl.concat(rows), work.output / "rows", partition)
    gone = pl.concat(dropped).sort("id", maintain_order=True)
    path = work.output / "dropped" / f"part-{partition:05d}.parquet"
    gone.write_parquet(path, compression="zstd", compression_level=1, row_group_size=16_384)
    return [tally]


def with_split(rows: pl.DataFrame, work: Work, chosen: Chosen) -> pl.DataFrame:
    """Rows with their split: what `use` of their source says, else what was chosen for their group."""
    fixed = {source: USE_SPLIT[use] for source, use in work.uses.items() if use}
    group = group_hash(rows, work.seed).to_numpy()
    by_group = np.where(
        np.isin(group, chosen.validation), "validation", np.where(np.isin(group, chosen.test), "test", "train")
    )
    return rows.with_columns(
        split=pl.coalesce(
            pl.col("source").replace_strict(fixed, default=None, return_dtype=pl.String),
            pl.Series(by_group, dtype=pl.String),
        )
    )
