"""The proof of the split, on the written files: other hashes than those that found the links find none.

In: `rows/` of the output. Out: training exchanges that still match an evaluation exchange; there should be none.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from trainwright.formats.rows import FLAG_NOT_SCORED, part_files
from trainwright.prepare.batch import turns_of
from trainwright.prepare.duplicates.boilerplate import table_of
from trainwright.prepare.duplicates.exchanges import exchanges_of
from trainwright.prepare.duplicates.signing import signed_of, use_of
from trainwright.prepare.slices import Slice, slices_of
from trainwright.prepare.splitting.groups import group_hashes
from trainwright.prepare.splitting.links import MATCHES, cuts_of, matches_of, phrases_of, unscored_of
from trainwright.prepare.work import Work
from trainwright.workers import Workers

OTHER_SEED, OTHER_BANDS = 1, 8
"""Half the bands: of pairs that the first search missed, of similarities near 0.7, they find nine in ten."""
COLUMNS = ["id", "source", "group", "split", "messages"]
EVALUATION, TEXTS = "checked.arrow", "checked-texts.arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTask:
    """One slice of the written rows."""

    work: Work
    slice: Slice


def leaks_of(work: Work, workers: Workers, phrases: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What still links training to evaluation: training exchanges to cut, and evaluation exchanges not to score.

    `phrases` are the evaluation exchanges (id, turn) whose response gives nothing away.
    """
    tasks = [CheckTask(work=work, slice=piece) for piece in slices_of(work.output / "rows")]
    evaluation = evaluation_of(work)
    evaluation.drop("prompt", "response", "unscored").write_ipc(work.folder / EVALUATION)
    evaluation.select("prompt", "response").write_ipc(work.folder / TEXTS)
    matches = pl.DataFrame(schema=MATCHES)
    if evaluation.height:
        matches = pl.concat(workers.map(matches_in, tasks))
    phrases = pl.concat([phrases, phrases_of(matches, evaluation)])
    unscored = unscored_of(matches, evaluation)
    known = evaluation.filter("unscored")
    return cuts_of(matches, evaluation, phrases), unscored.join(known, on=["id", "turn"], how="anti")


def evaluation_of(work: Work) -> pl.DataFrame:
    """The signed evaluation exchanges, with their texts and whether they are scored."""
    parts = pl.scan_parquet(part_files(work.output / "rows")).select(COLUMNS)
    rows = parts.filter(pl.col("split") != "train").collect()
    exchanges = exchanges_of(rows)
    flags = turns_of(rows).select("row", "turn", unscored=pl.col("flags") & FLAG_NOT_SCORED != 0)
    return _signed(work, rows, exchanges).with_columns(
        exchanges["prompt"],
        exchanges["response"],
        exchanges.select("row", "turn").join(flags, on=["row", "turn"], how="left", maintain_order="left")["unscored"],
    )


def matches_in(task: CheckTask) -> pl.DataFrame:
    """The matches of the training exchanges of one slice."""
    rows = task.slice.read(columns=COLUMNS).filter(pl.col("split") == "train")
    exchanges = exchanges_of(rows)
    evaluation, texts = (pl.read_ipc(task.work.folder / name) for name in (EVALUATION, TEXTS))

    def texts_of(wanted: pl.DataFrame) -> pl.DataFrame:
        return exchanges[wanted["place"]].select("prompt", "response")

    signed = _signed(task.work, rows, exchanges)
    return matches_of(signed, evaluation, texts_of, texts, task.work.near, table_of(task.work.boilerplate))


def _signed(work: Work, rows: pl.DataFrame, exchanges: pl.DataFrame) -> pl.DataFrame:
    of_row = rows.select("id", use=use_of(work.uses)).with_columns(group=group_hashes(rows, work.seed))
    return signed_of(exchanges, of_row, table_of(work.boilerplate), bands=OTHER_BANDS, seed=OTHER_SEED)
