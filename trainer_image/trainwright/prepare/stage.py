"""The stage: map → sign → pair → verify → finish over the partitions of ingest, in worker processes."""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig, source_names
from trainwright.errors import BadInput
from trainwright.prepare.batch import Tally
from trainwright.prepare.finishing import FinishTask, finish_partition
from trainwright.prepare.mapping import MapTask, map_slice
from trainwright.prepare.signing import sign_slice
from trainwright.prepare.slices import Slice, slices_of
from trainwright.prepare.split import choose, group_hash
from trainwright.prepare.work import Work
from trainwright.prepare.workers import Workers
from trainwright.progress import Progress


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Prepare the rows of ingest into `output`."""
    spec = config.spec
    uses = {name: source.use for name, source in zip(source_names(spec), spec.data.sources, strict=True)}
    work = Work(
        prepare=spec.data.prepare, seed=spec.training.seed, uses=dict(uses), folder=output / "work", output=output
    )
    for folder in ("mapped", "dropped", "signed", "losers"):
        (work.folder / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("rows", "dropped"):
        (output / folder).mkdir(exist_ok=True)
    slices = slices_of(inputs["ingest"].folder / "rows")
    progress = Progress("prepare", 3 * len(slices), "slices")
    done = 0
    tallies: dict[str, Tally] = {}
    with Workers(min(config.workers, len(slices))) as workers:
        for found in workers.map(map_slice, [MapTask(work=work, slice=piece) for piece in slices]):
            _add(tallies, found)
            progress.update(done := done + 1)
        for _ in workers.map(sign_slice, [(work, piece) for piece in slices]):
            progress.update(done := done + 1)
        find_exact(work, slices)
        chosen = choose(groups_of(work, slices), spec.data.split.validation, spec.data.split.test)
        tasks = [
            FinishTask(work=work, slices=list(pieces), chosen=chosen)
            for _, pieces in groupby(slices, key=lambda piece: piece.partition)
        ]
        for task, found in zip(tasks, workers.map(finish_partition, tasks), strict=True):
            _add(tallies, found)
            progress.update(done := done + len(task.slices))
    shutil.rmtree(work.folder)
    return report(output, list(tallies.values()))


def _add(tallies: dict[str, Tally], found: list[Tally]) -> None:
    for tally in found:
        tallies.setdefault(tally.step, Tally(step=tally.step)).add(tally)


def find_exact(work: Work, slices: list[Slice]) -> None:
    """Leave for each slice which of its targets have a better exact copy."""
    signed = pl.concat(
        [
            pl.read_parquet(piece.path(work.folder, "signed")).with_columns(slice=pl.lit(n, pl.UInt32))
            for n, piece in enumerate(slices)
        ]
    )
    if not work.prepare.deduplicate.enabled:
        signed = signed.clear()
    order = [pl.col("rating").fill_null(float("-inf")), "size", "id", "turn"]
    ranked = signed.filter(pl.struct("exact", "spared").is_duplicated()).sort(
        order, descending=[True, True, False, False]
    )
    losers = ranked.filter(~pl.struct("exact", "spared").is_first_distinct())
    for n, piece in enumerate(slices):
        mine = losers.filter(pl.col("slice") == n).select("row", "turn", reason=pl.lit("exact"))
        mine.write_parquet(piece.path(work.folder, "losers"), compression="lz4")


def groups_of(work: Work, slices: list[Slice]) -> pl.DataFrame:
    """The targets of each group that duplicates leave, and whether a source pins its split."""
    found = []
    for piece in slices:
        rows = pl.read_parquet(piece.path(work.folder, "mapped"), columns=["id", "source", "group"])
        signed = pl.read_parquet(piece.path(work.folder, "signed"), columns=["row", "turn"])
        losers = pl.read_parquet(piece.path(work.folder, "losers"))
        left = signed.join(losers, on=["row", "turn"], how="anti").group_by("row").len("exchanges")
        pinned = [source for source, use in work.uses.items() if use]
        groups = rows.select(pinned=pl.col("source").is_in(pinned), group=group_hash(rows, work.seed)).with_row_index(
            "row"
        )
        found.append(
            groups.join(left, on="row", how="left").select("group", "pinned", pl.col("exchanges").fill_null(0))
        )
    return pl.concat(found).group_by("group").agg(pl.col("pinned").any(), pl.col("exchanges").sum())


def report(output: Path, tallies: list[Tally]) -> Report:
    """Count what was written, and write steps.json."""
    steps: list[dict[str, Any]] = [
        {
            "step": tally.step,
            "in": tally.entered,
            "out": tally.left,
            "reasons": {reason: count for reason, count in sorted(tally.reasons.items()) if count},
            "changed": {what: count for what, count in sorted(tally.changed.items()) if count},
            "spared": {reason: count for reason, count in sorted(tally.spared.items()) if count},
        }
        for tally in tallies
    ]
    write_json(output / "steps.json", steps)
    kept = steps[-1]["out"]
    if not kept:
        worst = max(steps, key=lambda step: step["in"] - step["out"])
        raise BadInput(f"no row is left after preparation: {worst['step']} took most, {worst['in'] - worst['out']}")
    rows = pl.concat([pl.scan_parquet(path) for path in sorted((output / "rows").glob("*.parquet"))])
    exchange = (
        pl.col("messages")
        .list.eval(pl.element().struct.field("train") & (pl.element().struct.field("role") == "assistant"))
        .list.sum()
    )
    by_split = dict(rows.group_by("split").agg(exchange.sum()).collect().iter_rows())
    counts = {
        "rowsIn": steps[0]["in"],
        "rowsKept": kept,
        **{split: int(by_split.get(split, 0)) for split in ("train", "validation", "test")},
    }
    return Report(message=f"kept {kept} of {steps[0]['in']} exchanges", counts=counts, metrics={"steps": steps})
