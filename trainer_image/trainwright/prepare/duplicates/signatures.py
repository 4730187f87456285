"""MinHash signatures of exchanges in bands: two alike exchanges share a band with high probability.

64 hashes in 16 bands of 4 (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4): of pairs with a Jaccard
similarity of 0.7, 98.8 % share a band, of those with 0.8 all but 2 in 10,000. Of candidates, the lowest byte of each
hash tells which are worth an exact comparison. Legend: T texts, H hashes, N bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.prepare.batch import Mask
from trainwright.prepare.duplicates.boilerplate import is_left_out
from trainwright.prepare.duplicates.grams import PROMPT, RESPONSE, Bytes, bytes_of, hashes_at_bytes

BANDS = 16
BAND_HASHES = 4
CHUNK_BYTES = 60_000
"""Grams at work at a time stay in the processor's cache: four times as fast as whole arrays."""
CHUNK_PAIRS = 1 << 18
SLACK = 0.25
NOTHING = np.uint32(0xFFFFFFFF)
"""The minimum over no gram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """Of some texts: `bands_NT`, 0 where there is no gram to hash, and `bytes_TH`, the lowest byte of each minimum."""

    bands_NT: npt.NDArray[np.uint64]
    bytes_TH: npt.NDArray[np.uint8]


def sign(exchanges: pl.DataFrame, table: Mask, *, bands: int, seed: int) -> tuple[Signatures, Signatures]:
    """Sign exchanges (prompt, response), and their responses alone, with one family of hashes per seed."""
    prompt_HT = _minima(bytes_of(exchanges["prompt"]), PROMPT, table, bands, seed)
    response_HT = _minima(bytes_of(exchanges["response"]), RESPONSE, table, bands, seed)
    return _signatures(np.minimum(prompt_HT, response_HT)), _signatures(response_HT)


def shared_minima(
    left_TH: npt.NDArray[np.uint8],
    left: npt.NDArray[np.int64],
    right_TH: npt.NDArray[np.uint8],
    right: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint8]:
    """How many minima the two texts of each pair share, by their lowest bytes; pairs are places in those."""
    shared = np.empty(len(left), np.uint8)
    for start in range(0, len(left), CHUNK_PAIRS):
        chunk = slice(start, start + CHUNK_PAIRS)
        shared[chunk] = (left_TH[left[chunk]] == right_TH[right[chunk]]).sum(axis=1)
    return shared


def least_shared(hashes: int, similarity: float) -> float:
    """How many of so many minima two texts must share for their similarity to be worth an exact look.

    The share of equal minima estimates the similarity; SLACK is 4.4 standard deviations of it at 64 hashes and 0.7.
    """
    return (similarity - SLACK) * hashes


def _signatures(minima_HT: npt.NDArray[np.uint32]) -> Signatures:
    return Signatures(bands_NT=_bands(minima_HT), bytes_TH=np.ascontiguousarray(minima_HT.T.astype(np.uint8)))


def _minima(texts: Bytes, side: int, table: Mask, bands: int, seed: int) -> npt.NDArray[np.uint32]:
    """The least value of each hash over the grams of each text."""
    count = bands * BAND_HASHES
    draw = np.random.Generator(np.random.PCG64(seed))
    factors = draw.integers(0, 1 << 32, count, dtype=np.uint32) | np.uint32(1)
    minima_HT = np.empty((count, len(texts.offsets_T1) - 1), np.uint32)
    for start, stop in texts.chunks(CHUNK_BYTES):
        part = texts.part(start, stop)
        first = part.offsets_T1[:-1]
        grams, empty = _without_left_out(hashes_at_bytes(part, side), first, table)
        values = np.empty_like(grams)
        for n in range(count):
            np.multiply(grams, factors[n], out=values)
            np.minimum.reduceat(values, first, out=minima_HT[n, start:stop])
        minima_HT[:, start:stop][:, empty] = NOTHING
    return minima_HT


def _without_left_out(
    grams: npt.NDArray[np.uint32], first: npt.NDArray[np.int64], table: Mask
) -> tuple[npt.NDArray[np.uint32], Mask]:
    """Put the first gram that counts in the place of those that do not; and which texts have none that counts."""
    out = is_left_out(table, grams)
    if not out.any():
        return grams, np.zeros(len(first), dtype=bool)
    places = np.where(out, len(grams), np.arange(len(grams)))
    good = np.minimum.reduceat(places, first)
    empty: Mask = good == len(grams)
    bad = np.flatnonzero(out)
    text = np.searchsorted(first, bad, side="right") - 1
    grams[bad] = grams[np.where(empty, first, good)[text]]
    return grams, empty


def _bands(minima_HT: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    bands = len(minima_HT) // BAND_HASHES
    bands_NT = np.empty((bands, minima_HT.shape[1]), np.uint64)
    for band in range(bands):
        mixed = np.full(minima_HT.shape[1], band + 1, np.uint64)
        for minimum in minima_HT[band * BAND_HASHES : (band + 1) * BAND_HASHES]:
            mixed = (mixed ^ minimum) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        bands_NT[band] = np.maximum(mixed, 1)
    bands_NT[:, (minima_HT == NOTHING).all(axis=0)] = 0
    return bands_NT
