"""sieve: of pairs of exchanges that share a band, those that are worth an exact comparison of their texts.

In: pairs of places in signed exchanges. Out: those whose numbers and minima allow that they are alike. Only pairs with
too few equal minima may be wrongly let go, and hardly ever are; other numbers decide as they would in the texts.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from trainwright.prepare.duplicates.numbers import masks_differ
from trainwright.prepare.duplicates.signatures import least_shared, shared_minima
from trainwright.prepare.duplicates.signing import BYTES, NUMBERS


def sieved(pairs: pl.DataFrame, left: pl.DataFrame, right: pl.DataFrame, kind: str, similarity: float) -> pl.DataFrame:
    """Those of the pairs that may be alike, with the number of minima they share as `shared`.

    The first two columns of `pairs` are places in the signed exchanges `left` and `right`.
    """
    one, other = (pairs.to_series(side).to_numpy().astype(np.int64) for side in (0, 1))
    differ = masks_differ(left[NUMBERS[kind]].to_numpy()[one], right[NUMBERS[kind]].to_numpy()[other])
    minima = [signed[BYTES[kind]].to_numpy() for signed in (left, right)]
    same = ~differ
    shared = shared_minima(minima[0], one[same], minima[1], other[same])
    kept = pairs.filter(pl.Series(same, dtype=pl.Boolean)).with_columns(shared=pl.Series(shared, dtype=pl.UInt8))
    return kept.filter(pl.col("shared") >= least_shared(minima[0].shape[1], similarity))
