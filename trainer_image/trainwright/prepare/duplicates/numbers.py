"""Numbers that texts state: exchanges that state other numbers are never alike, and masks tell most of those apart.

In: normal texts. Out: 64 bits a text, one for each number by its hash. A bit that only one of two texts has is a number
that only that text states, so pairs of which each has such a bit need no look at the texts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

from trainwright.prepare.batch import Mask, mask_of

NUMBER = r"\p{Nd}+"
BITS = 64
Masks = npt.NDArray[np.uint64]


def have_other_numbers(texts: pl.Series, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> Mask:
    """Which pairs of texts state other numbers: each holds one that the other lacks.

    "3 + 3 = 6" is no copy of "4 + 4 = 8", whatever their similarity; a text in which a number is missing may be one.
    """
    numbers = texts.str.extract_all(NUMBER)
    pairs = pl.DataFrame({"left": numbers.gather(left), "right": numbers.gather(right)})
    only_left = pl.col("left").list.set_difference("right").list.len()
    only_right = pl.col("right").list.set_difference("left").list.len()
    return mask_of(pairs.select((only_left > 0) & (only_right > 0)).to_series())


def number_masks(texts: pl.Series) -> Masks:
    """A bit for each number of each text; 0 where there is none."""
    masks = np.zeros(len(texts), np.uint64)
    stating = texts.str.contains(NUMBER).arg_true()
    if not len(stating):
        return masks
    numbers = texts.gather(stating).str.extract_all(NUMBER).alias("number")
    counts = numbers.list.len().to_numpy().astype(np.int64)
    hashes = numbers.explode().to_frame().select(plh.col("number").nchash.xxhash64()).to_series().to_numpy()
    bits = np.uint64(1) << (hashes % np.uint64(BITS))
    masks[stating.to_numpy()] = np.bitwise_or.reduceat(bits, np.cumsum(counts) - counts)
    return masks


def masks_differ(left: Masks, right: Masks) -> Mask:
    """Which pairs of texts surely state other numbers, by their masks."""
    differ: Mask = ((left & ~right) != 0) & ((right & ~left) != 0)
    return differ
