"""How often a training row is seen per epoch, from the weights of its source and of the row.

The whole part of a weight repeats the row; the fraction takes rows by a hash of seed and id, the same in each epoch and
for any order or number of partitions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.formats.tokens import ROW_ID_BYTES

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def repeats(ids: npt.NDArray[np.uint8], weights: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.int64]:
    """Copies of each row: floor(weight), and one more for the share of rows that its fraction asks for.

    `ids` has 16 bytes a row. A weight of 1 gives every row exactly once.
    """
    whole = np.floor(weights)
    return (whole + (uniform(ids, seed) < weights - whole)).astype(np.int64)


def row_ids(column: pl.Series) -> npt.NDArray[np.uint8]:
    """The ids of rows as an array of 16 bytes each."""
    return np.frombuffer(b"".join(column.to_list()), np.uint8).reshape(-1, ROW_ID_BYTES)


def uniform(ids: npt.NDArray[np.uint8], seed: int, copy: int | npt.NDArray[np.int64] = 0) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each row id, a function of id, seed (32 bits) and copy alone (splitmix64)."""
    halves = np.ascontiguousarray(ids).view("<u8").reshape(-1, 2)
    start = _mixed(np.atleast_1d(np.asarray(copy, np.uint64)) + np.uint64(seed << 32))
    mixed = _mixed(halves[:, 0] ^ _mixed(halves[:, 1] ^ start)) >> np.uint64(11)
    return mixed.astype(np.float64) * 2.0**-53


def _mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        value = value + _GOLDEN
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
