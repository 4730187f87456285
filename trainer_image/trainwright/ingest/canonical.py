"""Canonical rows out of conversations: ids, content keys and the columnar frame (formats/rows.py).

In: turns and extras, added one conversation at a time. Out: a polars frame of what ingest knows about a row; the columns
that are the same for all rows of a source, or that later stages fill, are put in when partitions are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from trainwright.ingest.turns import Turn

SPILL: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.Binary,
    "record": pl.UInt64,
    "group": pl.String,
    "contentKey": pl.Binary,
    "tools": pl.String,
    "rating": pl.Float32,
    "metadata": pl.String,
    "exchanges": pl.UInt32,
    "bytes": pl.UInt32,
}
Extras = tuple[str | None, str | None, float | None, str | None]
NO_EXTRAS: Extras = (None, None, None, None)
_FIELDS = ("role", "content", "train", "flags", "name", "toolCalls", "toolCallId")
_digest = xxhash.xxh3_128_digest


class RowBuilder:
    """Collects the conversations of one file and gives them as frames.

    The id of a row is xxh3-128 of source name, path in the source and record number, and of the number of the part
    where a conversation makes several rows.
    """

    def __init__(self, source: str, path: str) -> None:
        self._prefix = f"{source}\0{path}\0".encode()
        self._turns: list[Turn] = []
        self._rows: list[tuple[Any, ...]] = []
        self.text_bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, number: int, part: int | None, turns: list[Turn], extras: Extras) -> int:
        """Take a conversation in (or part `part` of it); returns its exchanges, the targets in it."""
        group, tools, rating, metadata = extras
        name = self._prefix + str(number).encode()
        if part is not None:
            group = group or _digest(name).hex()
            name = b"%s#%d" % (name, part)
        key, size, exchanges = _content(turns)
        size += len(tools or "") + len(metadata or "")
        row = (_digest(name), number, group, key, tools, rating, metadata, exchanges, size, len(turns))
        self._rows.append(row)
        self._turns += turns
        self.text_bytes += size
        return exchanges

    def frame(self) -> pl.DataFrame:
        """The rows collected since the last call, in order."""
        columns = list(zip(*self._rows, strict=True))
        offsets = pa.array([0, *accumulate(columns.pop())], pa.int64())
        messages = pa.LargeListArray.from_arrays(offsets, _messages(self._turns))
        self._rows, self._turns, self.text_bytes = [], [], 0
        series = [
            pl.Series(name, values, dtype, strict=False)
            for (name, dtype), values in zip(SPILL.items(), columns, strict=True)
        ]
        return pl.DataFrame([*series, pl.Series("messages", pl.from_arrow(messages))])


def content_key(turns: list[Turn]) -> bytes:
    """xxh3-128 of the roles and the texts, stripped and in small letters: what review decisions are keyed by."""
    return _content(turns)[0]


def _content(turns: list[Turn]) -> tuple[bytes, int, int]:
    """Content key, bytes of text and number of targets."""
    parts = []
    exchanges = 0
    for turn in turns:
        exchanges += turn[2]
        parts.append(turn[0])
        parts.append(turn[1].strip() if turn[1] is not None else turn[4] or "")
    text = "\x1f".join(parts).lower().encode()
    return _digest(text), len(text), exchanges


def _messages(turns: Sequence[Turn]) -> pa.StructArray:
    role, content, train, name, calls, call_id = zip(*turns, strict=True)
    arrays = [
        pa.array(role, pa.large_string()),
        pa.array(content, pa.large_string()),
        pa.array(train, pa.bool_()),
        pa.array(np.zeros(len(role), np.uint32)),
        *(_text(values) for values in (name, calls, call_id)),
    ]
    return pa.StructArray.from_arrays(arrays, _FIELDS)


def _text(values: Sequence[str | None]) -> pa.Array:
    if any(values):
        return pa.array(values, pa.large_string())
    return pa.nulls(len(values), pa.large_string())
