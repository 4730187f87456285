"""finish, per slice: mapped rows → rows with split, loss and flags as delivered; then, per partition, its files.

Duplicates and training exchanges linked to evaluation lose their loss; a conversation without a target goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from trainwright.formats.rows import FLAG_DUPLICATE, FLAG_NOT_SCORED, SCHEMA
from trainwright.prepare.batch import DROPPED_SCHEMA, Batch
from trainwright.prepare.duplicates.signing import use_of
from trainwright.prepare.slices import Slice
from trainwright.prepare.splitting.groups import group_hashes, splits_of
from trainwright.prepare.splitting.linking import Assignment
from trainwright.prepare.splitting.links import KINDS
from trainwright.prepare.summary import Summary, summarize
from trainwright.prepare.tally import Tally
from trainwright.prepare.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTask:
    """One slice to finish."""

    work: Work
    slice: Slice
    assignment: Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherTask:
    """The finished slices of one partition."""

    work: Work
    slices: Sequence[Slice]


def finish_slice(task: FinishTask) -> tuple[list[Tally], Summary]:
    """Leave `finished` and `gone` rows of one slice."""
    work, piece, assignment = task.work, task.slice, task.assignment
    batch = Batch(piece.load(work.folder, "mapped"), work.spared)
    tallies = []
    if work.prepare.deduplicate.enabled:
        tallies.append(batch.begin("deduplicate"))
        losers = piece.load(work.folder, "losers")
        batch.judge(_by_reason(batch, losers, ("exact", "near")), FLAG_DUPLICATE)
        batch.end()
    tallies.append(batch.begin("split"))
    uses = batch.rows.select(use_of(work.uses).alias("use"))["use"]
    split = splits_of(group_hashes(batch.rows, work.seed), uses, assignment.chosen)
    batch.rows = batch.rows.with_columns(split=split)
    cuts = _with_rows(batch, assignment.cuts).with_columns(reason="evaluation." + pl.col("reason"))
    batch.judge(_by_reason(batch, cuts, [f"evaluation.{kind}" for kind in KINDS]))
    unscored = batch.at(_places(batch, _with_rows(batch, assignment.unscored)))
    batch.flag(unscored, FLAG_NOT_SCORED)
    batch.tally.changed["notScored"] += int(unscored.sum())
    batch.end()
    rows = batch.kept_rows()
    piece.save(work.folder, "finished", rows)
    piece.save(work.folder, "gone", batch.dropped_rows())
    return tallies, summarize(rows, work.kept_columns)


def gather_partition(task: GatherTask) -> None:
    """Write `rows/part-N` and `dropped/part-N` from the slices of one partition, without holding it in memory."""
    work, name = task.work, f"part-{task.slices[0].partition:05d}.parquet"
    rows = pl.concat([pl.scan_ipc(piece.path(work.folder, "finished")) for piece in task.slices])
    dropped = [
        pl.concat([pl.scan_ipc(piece.path(work.folder, kind)) for kind in ("dropped", "gone")]).sort(
            "id", maintain_order=True
        )
        for piece in task.slices
    ]
    for frame, schema, folder in ((rows, SCHEMA, "rows"), (pl.concat(dropped), DROPPED_SCHEMA, "dropped")):
        path = work.output / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.select([pl.col(column).cast(dtype) for column, dtype in schema.items()]).sink_parquet(
            path, compression="zstd", compression_level=1, row_group_size=16_384, maintain_order=True
        )


def _by_reason(batch: Batch, turns: pl.DataFrame, reasons: Iterable[str]) -> dict[str, pl.Series]:
    return {reason: _places(batch, turns.filter(pl.col("reason") == reason)) for reason in reasons}


def _places(batch: Batch, turns: pl.DataFrame) -> pl.Series:
    """Places in the batch of turns given by row and turn; those that are gone have none."""
    some = batch.turns.select("row", "turn", place=pl.int_range(pl.len(), dtype=pl.UInt32))
    some = some.filter(pl.col("row").is_in(turns["row"].unique().implode()))
    return some.join(turns.select("row", "turn"), on=["row", "turn"])["place"]


def _with_rows(batch: Batch, turns: pl.DataFrame) -> pl.DataFrame:
    """Those of the turns, given by id, that are in the batch, with their row."""
    rows = batch.rows.select("id", row=pl.int_range(pl.len(), dtype=pl.UInt32))
    return turns.join(rows.filter(pl.col("id").is_in(turns["id"].unique().implode())), on="id")
