"""pair: exchanges that share a band, and exchanges with equal texts.

Per band: `signed` → exchanges whose band value occurs twice. Then, over all bands at once: candidates for the exact
comparison, as pairs of a better and a worse exchange. Numbers of exchanges count over all slices, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from trainwright.prepare.duplicates.ranking import in_order
from trainwright.prepare.duplicates.sieving import sieved
from trainwright.prepare.duplicates.signing import BYTES, NUMBERS, PAIR
from trainwright.prepare.slices import Slice

LARGEST_ALL_PAIRS = 20
"""In a larger group of one band every exchange is compared with the best only: pairs grow with the square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandTask:
    """One column of `signed` in which equal values are looked for."""

    folder: Path
    slices: Sequence[Slice]
    column: str


def repeated_values(task: BandTask) -> pl.DataFrame:
    """Exchanges that share their value with another of the same kind of source: exchange, value, exact.

    Rows of evaluation sources are no reason to take rows of others here: links between splits are cut later.
    """
    columns = list(dict.fromkeys([task.column, "exact", "use"]))
    signed = pl.concat([piece.load(task.folder, "signed", columns) for piece in task.slices])
    numbered = signed.select(
        exchange=pl.int_range(pl.len(), dtype=pl.UInt32),
        value=pl.col(task.column),
        exact="exact",
        evaluated=pl.col("use").is_in(["Validation", "Test"]).fill_null(False),
    ).filter(pl.col("value") != 0)
    shared = numbered.filter(pl.col("value").is_duplicated())
    return shared.filter(pl.struct("value", "evaluated").is_duplicated()).select(
        "exchange", "value", "exact", "evaluated"
    )


def equal_exchanges(repeated: pl.DataFrame, ranks: pl.DataFrame) -> pl.DataFrame:
    """Pairs (better, worse) of each group of equal texts: the best and every other."""
    return _with_best(
        repeated.join(ranks.select("exchange", "rank"), on="exchange").sort("rank"), ["exact", "evaluated"]
    )


def near_candidates(repeated: pl.DataFrame, ranks: pl.DataFrame, near: float) -> pl.DataFrame:
    """Pairs (better, worse) that share a band and are worth a comparison.

    Of equal texts only the best is compared with others.
    """
    group = ["band", "value", "evaluated"]
    ranked = (
        repeated.join(ranks.select("exchange", "rank"), on="exchange")
        .sort("rank")
        .unique([*group, "exact"], keep="first", maintain_order=True)
    )
    sizes = ranked.with_columns(size=pl.len().over(group)).filter(pl.col("size") > 1)
    small = sizes.filter(pl.col("size").is_between(3, LARGEST_ALL_PAIRS)).select(*group, "rank")
    squares = small.join(small, on=group).filter(pl.col("rank") < pl.col("rank_right"))
    pairs = [_with_best(sizes, group), squares.select(better="rank", worse="rank_right")]
    candidates = pl.concat(pairs).unique().sort("better", "worse")
    return sieved(candidates, ranks, ranks, PAIR, near).drop("shared")


def ranks_of(folder: Path, slices: Sequence[Slice], exchanges: pl.Series) -> pl.DataFrame:
    """The rank of each of these exchanges among them, best first: exchange, slice, row, turn, what is sieved by."""
    columns = ["rating", "size", "id", "turn", "row", BYTES[PAIR], NUMBERS[PAIR]]
    found, first = [], 0
    wanted = exchanges.unique().sort()
    for number, piece in enumerate(slices):
        signed = piece.load(folder, "signed", columns)
        mine = wanted.filter((wanted >= first) & (wanted < first + signed.height))
        places = pl.Series(mine.to_numpy().astype(np.int64) - first)
        found.append(signed[places].with_columns(exchange=mine, slice=pl.lit(number, pl.UInt32)))
        first += signed.height
    return in_order(pl.concat(found)).drop("rating", "size", "id").with_row_index("rank")


def _with_best(ranked: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    pairs = ranked.select(better=pl.col("rank").first().over(group), worse="rank")
    return pairs.filter(pl.col("better") != pl.col("worse"))
