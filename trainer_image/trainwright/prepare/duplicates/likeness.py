"""When two exchanges are alike: the one measure for duplicates, for links between splits, and for the proof.

Jaccard similarity of byte 5-grams: of prompt and response together at least `near`, of each side at least LEAST_SIDE,
and no other numbers in the one than in the other. Grams that are boilerplate take no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.prepare.batch import Mask
from trainwright.prepare.duplicates.boilerplate import is_left_out
from trainwright.prepare.duplicates.grams import KEY_BITS, PROMPT, RESPONSE, bytes_of, hash_of, keys_of
from trainwright.prepare.duplicates.numbers import have_other_numbers

LEAST_SIDE = 0.4
"""Of prompt and of response: a copy with one typo in a short response keeps more than this."""
LEAST_WORDS = 8
"""Shorter exchanges are duplicates only if they are equal: one word more or less makes another one of them."""
RESPONSE_NEAR = 0.7
CHUNK_PAIRS = 16_384
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Grams that each pair shares, and grams of either, as whole numbers. Shape (pairs,)."""

    shared: Places
    either: Places

    def reaches(self, similarity: float) -> Mask:
        """Which pairs have at least this Jaccard similarity; two sides without any gram are equal."""
        enough: Mask = self.shared >= similarity * self.either
        return enough


def alike(exchanges: pl.DataFrame, left: Places, right: Places, near: float, table: Mask) -> Mask:
    """Which pairs of exchanges, given by their places in `exchanges` (prompt, response), are alike."""
    prompts = overlap(exchanges["prompt"], PROMPT, left, right, table)
    responses = overlap(exchanges["response"], RESPONSE, left, right, table)
    both = Overlap(shared=prompts.shared + responses.shared, either=prompts.either + responses.either)
    similar = both.reaches(near) & prompts.reaches(LEAST_SIDE) & responses.reaches(LEAST_SIDE)
    texts = exchanges["prompt"] + "\n" + exchanges["response"]
    return similar & ~have_other_numbers(texts, left, right)


def alike_responses(exchanges: pl.DataFrame, left: Places, right: Places, table: Mask) -> Mask:
    """Which pairs of exchanges have the same or nearly the same response."""
    responses = overlap(exchanges["response"], RESPONSE, left, right, table)
    similar = responses.reaches(RESPONSE_NEAR) & (responses.either > 0)
    return similar & ~have_other_numbers(exchanges["response"], left, right)


def overlap(texts: pl.Series, side: int, left: Places, right: Places, table: Mask) -> Overlap:
    """How many grams the two texts of each pair share."""
    keys = keys_of(bytes_of(texts), side)
    keys = keys[~is_left_out(table, hash_of(keys))]
    counts = np.bincount((keys >> np.uint64(KEY_BITS)).astype(np.int64), minlength=len(texts))
    shared = np.zeros(len(left), dtype=np.int64)
    for start in range(0, len(left), CHUNK_PAIRS):
        chunk = slice(start, start + CHUNK_PAIRS)
        shared[chunk] = _shared(keys, counts, left[chunk], right[chunk])
    return Overlap(shared=shared, either=counts[left] + counts[right] - shared)


def _shared(keys: npt.NDArray[np.uint64], counts: Places, left: Places, right: Places) -> Places:
    """Grams of the left text that are also grams of the right one: keys of both, renumbered by pair, that meet."""
    both = np.sort(np.concatenate([_by_pair(keys, counts, left), _by_pair(keys, counts, right)]))
    met = both[1:][both[1:] == both[:-1]]
    return np.bincount((met >> np.uint64(KEY_BITS)).astype(np.int64), minlength=len(left))


def _by_pair(keys: npt.NDArray[np.uint64], counts: Places, texts: Places) -> npt.NDArray[np.uint64]:
    first = np.cumsum(counts) - counts
    lengths = counts[texts]
    pair = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    begins = np.cumsum(lengths) - lengths
    places = np.arange(len(pair)) + np.repeat(first[texts] - begins, lengths)
    renumbered: npt.NDArray[np.uint64] = keys[places] & np.uint64((1 << KEY_BITS) - 1) | pair << np.uint64(KEY_BITS)
    return renumbered
