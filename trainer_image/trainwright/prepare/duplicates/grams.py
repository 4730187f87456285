"""Byte 5-grams of texts, straight from the Arrow buffer: no tokenizer, any script.

Legend: B bytes of all texts together, T texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

SIZE = 5
PROMPT, RESPONSE = 1, 2
"""Sides of an exchange: their grams are never equal, so that (t1, t2) and (t2, t3) share nothing but t2 with itself."""
KEY_BITS = 42
"""A gram as a number: 40 bits of bytes and 2 of side."""
LONGEST_BYTES = 1 << 16
"""What is compared of a longer text: its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Texts in one buffer: `data_B`, and `offsets_T1` (T + 1) of where each begins."""

    data_B: npt.NDArray[np.uint8]
    offsets_T1: npt.NDArray[np.int64]

    def part(self, start: int, stop: int) -> Bytes:
        """Texts `start` … `stop - 1`."""
        first, last = self.offsets_T1[start], self.offsets_T1[stop]
        return Bytes(data_B=self.data_B[first:last], offsets_T1=self.offsets_T1[start : stop + 1] - first)

    def chunks(self, chunk_bytes: int) -> list[tuple[int, int]]:
        """Runs of whole texts of about so many bytes each, as (start, stop)."""
        found, start, count = [], 0, len(self.offsets_T1) - 1
        while start < count:
            limit = self.offsets_T1[start] + chunk_bytes
            stop = max(int(np.searchsorted(self.offsets_T1, limit, side="right")) - 1, start + 1)
            found.append((start, stop))
            start = stop
        return found


def bytes_of(texts: pl.Series) -> Bytes:
    """The bytes of the texts; one shorter than a gram is filled up, so that every text has at least one."""
    long = (texts.str.len_bytes() > LONGEST_BYTES).arg_true()
    if len(long):
        texts = texts.scatter(long, texts.gather(long).str.head(LONGEST_BYTES // 4))
    array = texts.str.pad_end(SIZE, "\0").to_arrow().cast(pa.large_string())
    _, offsets, data = array.buffers()
    offsets_T1 = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    data_B = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return Bytes(data_B=data_B[offsets_T1[0] : offsets_T1[-1]], offsets_T1=offsets_T1 - offsets_T1[0])


def hashes_at_bytes(texts: Bytes, side: int) -> npt.NDArray[np.uint32]:
    """A 32-bit hash of the gram that begins at each byte; the last four places of a text repeat its first gram.

    So each text keeps its bytes' places, and nothing that is a minimum over a text is changed. Shape (B,).
    """
    low, fifth = _words(texts.data_B)
    hashes = _hash(low, fifth, side)
    first, end = texts.offsets_T1[:-1], texts.offsets_T1[1:]
    for back in range(1, SIZE):
        hashes[end - back] = hashes[first]
    return hashes


def keys_of(texts: Bytes, side: int) -> npt.NDArray[np.uint64]:
    """The different grams of all texts, sorted: number of the text above KEY_BITS, gram below."""
    counts = np.diff(texts.offsets_T1) - SIZE + 1
    text = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    places = np.arange(len(text)) + (SIZE - 1) * text.astype(np.int64)
    low, fifth = _words(texts.data_B)
    above = fifth[places].astype(np.uint64) | np.uint64(side << 8) | text << np.uint64(KEY_BITS - 32)
    return unique(low[places].astype(np.uint64) | above << np.uint64(32))


def unique(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The different keys, sorted."""
    keys = np.sort(keys)
    new = np.ones(len(keys), dtype=bool)
    new[1:] = keys[1:] != keys[:-1]
    return keys[new]


def hash_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """The hash of each key's gram, as `hashes_at_bytes` has it."""
    low = keys.astype(np.uint32)
    return _hash(
        low, (keys >> np.uint64(32)).astype(np.uint8), (keys >> np.uint64(40)).astype(np.uint32) & np.uint32(3)
    )


def _hash(
    low: npt.NDArray[np.uint32], fifth: npt.NDArray[np.uint8], side: int | npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    gram = low * np.uint32(0x9E3779B1)
    gram ^= gram >> np.uint32(16)
    gram += (fifth.astype(np.uint32) + (np.uint32(side) << np.uint32(8))) * np.uint32(0x85EBCA77)
    gram ^= gram >> np.uint32(15)
    gram *= np.uint32(0x2C1B3C6D)
    gram ^= gram >> np.uint32(13)
    return gram


def _words(data_B: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """The four bytes at each place as one number, and the fifth; zeros follow the end."""
    count = len(data_B)
    padded = np.zeros(count + 8, np.uint8)
    padded[:count] = data_B
    low = np.empty(count, np.uint32)
    for shift in range(4):
        wanted = len(range(shift, count, 4))
        low[shift::4] = padded[shift : shift + 4 * wanted].view(np.uint32)[:wanted] if wanted else 0
    return low, padded[4 : 4 + count]
