"""Collects the sequences of rows as flat arrays, batch by batch: memory is that of one partition's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.formats.tokens import Sequences
from trainwright.tokenize.cutting import Cutter, Part, Said
from trainwright.tokenize.repeats import row_ids

COLUMNS = ("id", "source", "record", "messages", "tools")
BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Sequences of some rows; `said` marks what the assistant says with loss, `row_numbers` tells whose each is."""

    sequences: Sequences
    said: npt.NDArray[np.bool_]
    row_numbers: npt.NDArray[np.int64]


def encode_rows(rows: pl.DataFrame, cutter: Cutter, on_rows: Callable[[int], None] = lambda count: None) -> Encoded:
    """Encode rows in their order; `on_rows` hears how many more are done.

    Targets are what the assistant says with loss; with `every_token` all that nobody says without loss. The first token
    of a sequence never is one.
    """
    batches = []
    for start in range(0, max(1, rows.height), BATCH_ROWS):
        batch = rows[start : start + BATCH_ROWS].select(COLUMNS)
        batches.append(_arrays(list(cutter.cut(batch.to_dicts())), start))
        on_rows(batch.height)
    tokens, flags, lengths, numbers = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    first = np.zeros(len(tokens), np.bool_)
    first[np.cumsum(lengths) - lengths] = True
    said = (flags == Said.TRAINED) & ~first
    sequences = Sequences(
        tokens=tokens.astype(np.uint32),
        targets=(flags != Said.UNTRAINED) & ~first if cutter.rules.every_token else said,
        lengths=lengths.astype(np.int32),
        rows=row_ids(rows["id"])[numbers],
    )
    return Encoded(sequences=sequences, said=said, row_numbers=numbers)


def _arrays(
    rows: Sequence[Sequence[Sequence[Part]]], first_row: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Tokens, who says each, the length of each sequence and the number of its row."""
    parts = [part for sequences in rows for sequence in sequences for part in sequence]
    sizes = np.fromiter((len(ids) for ids, _ in parts), np.int64, len(parts))
    flags = np.fromiter((said for _, said in parts), np.uint8, len(parts))
    tokens = np.fromiter(chain.from_iterable(ids for ids, _ in parts), np.uint32, int(sizes.sum()))
    lengths = [sum(len(ids) for ids, _ in sequence) for sequences in rows for sequence in sequences]
    numbers = [first_row + number for number, sequences in enumerate(rows) for _ in sequences]
    return tokens, np.repeat(flags, sizes), np.array(lengths, np.int64), np.array(numbers, np.int64)
