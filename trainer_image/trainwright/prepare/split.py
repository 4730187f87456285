"""split: which groups of conversations are for validation and test.

Groups are taken in the order of a seeded hash until the wanted number of exchanges is reached; rows are never joined by
shared text, since in real chat such components hold 20–91 % of all turns and grow with the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

LARGEST = 10_000
"""Exchanges of validation and of test, at most: enough for the figures, whatever the size of the data."""
BIG_GROUP = 0.02
"""A group larger than this share of the wanted size always trains: sizes stay near what is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Hashes of the groups of either evaluation split, sorted."""

    validation: npt.NDArray[np.uint64]
    test: npt.NDArray[np.uint64]


def group_hash(rows: pl.DataFrame, seed: int) -> pl.Series:
    """A number per row that is equal for rows of one group and, with the seed, decides where the group goes."""
    group = pl.coalesce(pl.lit("g") + pl.col("group"), pl.lit("r") + pl.col("id").bin.encode("hex"))
    return rows.select(group=pl.concat_str(pl.lit(f"{seed}\x1f"), group)).select(plh.col("group").nchash.xxh3_64())[
        "group"
    ]


def choose(groups: pl.DataFrame, validation: float, test: float) -> Chosen:
    """Choose groups for validation and test from `groups`: group (hash), exchanges, pinned (its split is given)."""
    free = groups.filter(~pl.col("pinned") & (pl.col("exchanges") > 0)).sort("group")
    hashes, sizes = free["group"].to_numpy(), free["exchanges"].to_numpy().astype(np.int64)
    total = int(sizes.sum())
    first, left = _take(sizes, np.ones(len(sizes), dtype=bool), _wanted(validation, total))
    second, _ = _take(sizes, left, _wanted(test, total))
    return Chosen(validation=hashes[first], test=hashes[second])


def _wanted(share: float, total: int) -> int:
    return min(max(int(share * total), 1), LARGEST) if share > 0 else 0


def _take(
    sizes: npt.NDArray[np.int64], free: npt.NDArray[np.bool_], wanted: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Take free groups in order while they fit; at least one group is left for training."""
    taken = np.zeros(len(sizes), dtype=bool)
    if wanted == 0 or free.sum() < 2:
        return taken, free
    limit = max(1.0, BIG_GROUP * wanted)
    while (sizes[free & (sizes <= limit)].sum() < wanted) and (sizes[free] > limit).any():
        limit *= 2
    places = np.flatnonzero(free & (sizes <= limit))
    count = int(np.searchsorted(np.cumsum(sizes[places]), wanted, side="right"))
    places = places[: min(max(count, 1), int(free.sum()) - 1)]
    taken[places] = True
    return taken, free & ~taken
