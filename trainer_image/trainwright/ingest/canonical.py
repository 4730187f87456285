"""Canonical rows out of conversations: ids, content keys and columns (formats/rows.py).

In: turns and extras, a conversation at a time or many pairs at once. Out: Arrow tables of what ingest knows about a
row; columns that are the same for all rows of a source, or that later stages fill, are put in when partitions are
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from trainwright.ingest.turns import Turn

COLUMNS: dict[str, pa.DataType] = {
    "id": pa.large_binary(),
    "record": pa.uint64(),
    "group": pa.large_string(),
    "contentKey": pa.large_binary(),
    "tools": pa.large_string(),
    "rating": pa.float32(),
    "metadata": pa.large_string(),
    "exchanges": pa.uint32(),
    "bytes": pa.uint64(),
}
Extras = tuple[str | None, str | None, float | None, str | None]
"""Group, tools, rating, metadata."""
NO_EXTRAS: Extras = (None, None, None, None)
_MESSAGE_FIELDS = ("role", "content", "train", "flags", "name", "toolCalls", "toolCallId")
_PAIR_ROLES = pa.array(["user", "assistant"], pa.large_string())
_BETWEEN = "\x1f"
_digest = xxhash.xxh3_128_digest


class RowBuilder:
    """Collects conversations and gives them as tables; `path` is the file they come from.

    The id of a row is xxh3-128 of source name, path in the source and record number, and of the number of the part
    where a conversation makes several rows.
    """

    def __init__(self, source: str, path: str = "") -> None:
        self._source = source
        self.path = path
        self._turns: list[Turn] = []
        self._rows: list[tuple[Any, ...]] = []
        self._tables: list[pa.Table] = []
        self._table_rows = 0
        self.text_bytes = 0

    def __len__(self) -> int:
        return len(self._rows) + self._table_rows

    @property
    def path(self) -> str:
        """Path in the source of the file that is being read."""
        return self._path

    @path.setter
    def path(self, path: str) -> None:
        self._path = path
        self._prefix = f"{self._source}\0{path}\0".encode()

    def add(self, number: int, part: int | None, turns: list[Turn], extras: Extras) -> int:
        """Take a conversation in (or part `part` of it); returns its exchanges, the targets in it."""
        group, tools, rating, metadata = extras
        name = b"%b%d" % (self._prefix, number)
        if part is not None:
            group = group or _digest(name).hex()
            name = b"%b#%d" % (name, part)
        text, exchanges = _text_of(turns)
        size = len(text) + len(tools or "") + len(metadata or "")
        row = (_digest(name), number, group, _digest(text), tools, rating, metadata, exchanges, size, len(turns))
        self._rows.append(row)
        self._turns += turns
        self.text_bytes += size
        return exchanges

    def add_pairs(self, numbers: Sequence[int], pairs: Sequence[tuple[str, str]]) -> None:
        """Take prompts with their responses in, neither blank: the same rows as `add` makes, in half the time."""
        prefix = self._prefix
        texts = [f"user\x1f{p.strip()}\x1fassistant\x1f{r.strip()}".lower().encode() for p, r in pairs]
        sizes = list(map(len, texts))
        count = len(pairs)
        none = pa.nulls(count, pa.large_string())
        contents = pa.array([text for pair in pairs for text in pair], pa.large_string())
        columns = {
            "id": pa.array([_digest(b"%b%d" % (prefix, number)) for number in numbers], COLUMNS["id"]),
            "record": pa.array(numbers, COLUMNS["record"]),
            "group": none,
            "contentKey": pa.array(list(map(_digest, texts)), COLUMNS["contentKey"]),
            "tools": none,
            "rating": pa.nulls(count, COLUMNS["rating"]),
            "metadata": none,
            "exchanges": pa.array(np.ones(count, np.uint32)),
            "bytes": pa.array(sizes, COLUMNS["bytes"]),
            "messages": _lists(pa.array(np.arange(0, 2 * count + 1, 2)), _pair_messages(contents)),
        }
        self._tables.append(pa.table(columns))
        self._table_rows += count
        self.text_bytes += sum(sizes)

    def table(self) -> pa.Table:
        """The rows collected since the last call, in order."""
        tables = self._tables
        if self._rows:
            *columns, lengths = zip(*self._rows, strict=True)
            offsets = pa.array([0, *accumulate(lengths)], pa.int64())
            arrays = [pa.array(values, dtype) for values, dtype in zip(columns, COLUMNS.values(), strict=True)]
            arrays.append(_lists(offsets, _messages(self._turns)))
            tables.append(pa.Table.from_arrays(arrays, [*COLUMNS, "messages"]))
        self._rows, self._turns, self._tables, self._table_rows, self.text_bytes = [], [], [], 0, 0
        return pa.concat_tables(tables)


def content_key(turns: list[Turn]) -> bytes:
    """xxh3-128 of the roles and the texts, stripped and in small letters: what review decisions are keyed by."""
    return _digest(_text_of(turns)[0])


def _text_of(turns: list[Turn]) -> tuple[bytes, int]:
    """The text that the content key is made of, and the number of targets."""
    parts: list[str] = []
    targets = 0
    for role, content, train, _, calls, _ in turns:
        parts += (role, calls or "" if content is None else content.strip())
        targets += train
    return _BETWEEN.join(parts).lower().encode(), targets


def _messages(turns: Sequence[Turn]) -> pa.StructArray:
    role, content, train, name, calls, call_id = zip(*turns, strict=True)
    texts = [pa.array(values, pa.large_string()) for values in (role, content, name, calls, call_id)]
    return _struct(texts[0], texts[1], pa.array(train, pa.bool_()), *texts[2:])


def _pair_messages(contents: pa.Array) -> pa.StructArray:
    """Messages whose roles are user and assistant in turn."""
    count = len(contents)
    none = pa.nulls(count, pa.large_string())
    is_response = np.arange(count) % 2
    return _struct(
        _PAIR_ROLES.take(pa.array(is_response)), contents, pa.array(is_response.astype(bool)), none, none, none
    )


def _struct(role: pa.Array, content: pa.Array, train: pa.Array, *texts: pa.Array) -> pa.StructArray:
    flags = pa.array(np.zeros(len(role), np.uint32))
    return pa.StructArray.from_arrays([role, content, train, flags, *texts], _MESSAGE_FIELDS)


def _lists(offsets: pa.Array, messages: pa.StructArray) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(offsets, messages)
