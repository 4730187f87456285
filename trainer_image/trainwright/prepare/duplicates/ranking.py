"""Which of two alike exchanges stays: the better rated one, then the longer response, then the smaller id and turn.

An exchange goes if a better one that stays is alike; never along a chain of others that go.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.prepare.batch import Mask

Ranks = npt.NDArray[np.int64]


def in_order(exchanges: pl.DataFrame) -> pl.DataFrame:
    """Exchanges (rating, size, id, turn …), best first: an order of the data alone."""
    rating = pl.col("rating").fill_null(float("-inf")).fill_nan(float("-inf"))
    return exchanges.sort(rating, "size", "id", "turn", descending=[True, True, False, False])


def losers(better: Ranks, worse: Ranks, count: int) -> Mask:
    """Which of `count` exchanges, numbered best first, go, from pairs of alike ones.

    In the order of rank, each exchange without a staying better one stays; the result depends on the pairs only.
    """
    undecided, stays, goes = 0, 1, 2
    state = np.full(count, stays)
    state[worse] = undecided
    while (state == undecided).any():
        state[worse[(state[better] == stays) & (state[worse] == undecided)]] = goes
        waiting = np.zeros(count, dtype=bool)
        waiting[worse[state[better] == undecided]] = True
        state[(state == undecided) & ~waiting] = stays
    gone: Mask = state == goes
    return gone
