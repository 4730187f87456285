"""verify: candidates → exchanges that go, by comparing texts.

Per slice: the normal texts of the exchanges that are candidates. Per chunk of pairs: which are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from trainwright.prepare.duplicates.boilerplate import table_of
from trainwright.prepare.duplicates.exchanges import exchanges_of
from trainwright.prepare.duplicates.likeness import alike
from trainwright.prepare.slices import Slice
from trainwright.prepare.work import Work

CHUNK_PAIRS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTask:
    """Exchanges of one slice whose texts are wanted: number (any), row, turn."""

    work: Work
    slice: Slice
    wanted: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTask:
    """Pairs (better, worse) of numbers, and the slices that hold their texts."""

    work: Work
    slices: Sequence[Slice]
    pairs: pl.DataFrame


def texts_of(task: TextTask) -> pl.DataFrame:
    """The normal texts of the exchanges wanted: number, prompt, response."""
    wanted = task.wanted.sort("row", "turn")
    rows, places = np.unique(wanted["row"].to_numpy(), return_inverse=True)
    mapped = task.slice.load(task.work.folder, "mapped", ["messages"])[pl.Series(rows.astype(np.int64))]
    only = wanted.with_columns(row=pl.Series(places.astype(np.uint32)))
    return exchanges_of(mapped, only).select(wanted["number"], "prompt", "response")


def save_texts(task: TextTask) -> None:
    """Leave the `texts` of a slice for the comparison."""
    task.slice.save(task.work.folder, "texts", texts_of(task))


def alike_pairs(task: VerifyTask) -> pl.DataFrame:
    """Those of the pairs that are alike."""
    numbers = pl.concat([task.pairs["better"], task.pairs["worse"]]).unique().sort()
    texts = pl.concat([piece.load(task.work.folder, "texts") for piece in task.slices])
    texts = texts.filter(pl.col("number").is_in(numbers.implode())).sort("number")
    left, right = (np.searchsorted(numbers.to_numpy(), task.pairs[side].to_numpy()) for side in ("better", "worse"))
    near, table = task.work.prepare.deduplicate.near, table_of(task.work.boilerplate)
    return task.pairs.filter(pl.Series(alike(texts, left, right, near, table), dtype=pl.Boolean))
