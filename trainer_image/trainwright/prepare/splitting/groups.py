"""Which groups of conversations are for validation and which for test.

Groups are taken in the order of a seeded hash while they fit the wanted number of exchanges. Rows are never joined by
shared text: in real chat such components hold 20–91 % of all turns, and grow with the data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

LARGEST = 10_000
"""Exchanges of validation and of test, at most: enough for the figures, whatever the size of the data."""
BIG_GROUP = 0.02
"""A group larger than this share of the wanted size trains, as long as others suffice: the size stays near it."""
SPLIT_OF_USE = {"Train": "train", "Validation": "validation", "Test": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Hashes of the groups of either evaluation split."""

    validation: npt.NDArray[np.uint64]
    test: npt.NDArray[np.uint64]


def group_hashes(rows: pl.DataFrame, seed: int) -> pl.Series:
    """A number per row (id, group), equal for rows of one group; with the seed it decides where the group goes."""
    group = pl.coalesce(pl.lit("g") + pl.col("group"), pl.lit("r") + pl.col("id").bin.encode("hex"))
    return rows.select(group=pl.concat_str(pl.lit(f"{seed}\x1f"), group)).select(plh.col("group").nchash.xxh3_64())[
        "group"
    ]


def sizes_of(slices: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Sum targets (group, use) into groups: group, exchanges, pinned (a source says what some of its rows are for)."""
    counted = [
        targets.group_by("group").agg(exchanges=pl.len(), pinned=pl.col("use").is_not_null().any())
        for targets in slices
    ]
    return pl.concat(counted).group_by("group").agg(pl.col("exchanges").sum(), pl.col("pinned").any())


def choose(groups: pl.DataFrame, validation: float, test: float) -> Chosen:
    """Choose groups for the wanted shares of exchanges, at most LARGEST each; at least one group stays for training.

    Pinned groups are neither taken nor counted.
    """
    free = groups.filter(~pl.col("pinned")).sort("group")
    hashes, sizes = free["group"].to_numpy(), free["exchanges"].to_numpy().astype(np.int64)
    total = int(sizes.sum())
    for_validation = _take(sizes, _wanted(validation, total))
    left = np.where(np.isin(np.arange(len(sizes)), for_validation), 0, sizes)
    for_test = _take(left, _wanted(test, total))
    return Chosen(validation=hashes[for_validation], test=hashes[for_test])


def splits_of(groups: pl.Series, uses: pl.Series, chosen: Chosen) -> pl.Series:
    """The split of each row: what `use` of its source says, else what was chosen for its group."""
    group = groups.to_numpy()
    by_group = np.select(
        [np.isin(group, chosen.validation), np.isin(group, chosen.test)], ["validation", "test"], default="train"
    )
    by_use = uses.replace_strict(SPLIT_OF_USE, default=None, return_dtype=pl.String)
    return by_use.zip_with(by_use.is_not_null(), pl.Series(by_group, dtype=pl.String))


def _wanted(share: float, total: int) -> int:
    return min(max(int(share * total), 1), LARGEST) if share > 0 else 0


def _take(sizes: npt.NDArray[np.int64], wanted: int) -> npt.NDArray[np.int64]:
    """Places of groups taken in order while they fit; those of size 0 are gone, one is left over."""
    places = np.flatnonzero(sizes)
    if wanted == 0 or len(places) < 2:
        return places[:0]
    limit = max(1.0, BIG_GROUP * wanted)
    while sizes[places][sizes[places] <= limit].sum() < wanted and limit < sizes.max():
        limit *= 2
    small = places[sizes[places] <= limit]
    count = int(np.searchsorted(np.cumsum(sizes[small]), wanted, side="right"))
    return small[: min(max(count, 1), len(places) - 1)]
