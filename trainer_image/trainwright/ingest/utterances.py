"""Tables with one utterance a row (columns.conversation): collects those of a conversation from all files of a source.

Two steps, so that memory stays bounded whatever the order of rows: reading leaves the utterances of each file in a
spill file; then each bucket of conversations (by hash of their identifier) is picked from all of them, put in order
and read like a list of messages. A row's record number is that of the conversation's first utterance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import polars_hash as plh
import pyarrow as pa

from trainwright.api.data import Columns
from trainwright.ingest.canonical import RowBuilder
from trainwright.ingest.columns import column, names_in, text
from trainwright.ingest.json_text import to_json
from trainwright.ingest.limits import Limits
from trainwright.ingest.mapping import Mapping
from trainwright.ingest.records import BadRow, Empty, Record, Unfit
from trainwright.ingest.spill import SpillWriter

SCHEMA = pa.schema(
    [
        ("conversation", pa.large_string()),
        ("number", pa.uint64()),
        ("order", pa.large_string()),
        ("record", pa.large_string()),
    ]
)
BUCKET_BYTES = 256 << 20
_MESSAGES = "(utterances)"


class Utterances:
    """Takes utterances and gives them as tables: conversation, number, order and the rest of the record, as JSON."""

    def __init__(self, columns: Columns) -> None:
        self._conversation = column(columns.conversation or "")
        self._order = column(columns.order) if columns.order else None
        self._role, self._content = column(columns.role or ""), text(columns.content or "")
        others = [columns.system, columns.group, columns.tools, columns.rating, *columns.keep]
        names = [name for value in others if value is not None for name in names_in(value)]
        self._others = [(name, column(name)) for name in names]
        self._rows: list[tuple[str, int, str | None, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, number: int, record: Record) -> None:
        """Take an utterance in.

        Raises:
            Unfit: it says not to which conversation it belongs, who speaks, or in which place.
        """
        conversation, role = self._conversation(record), self._role(record)
        if conversation is None or conversation == "":
            raise Unfit("noConversation", "no conversation is named")
        if role is None or role == "":
            raise Unfit("noRole", "nobody is named as the speaker")
        order = self._order(record) if self._order else None
        if self._order is not None and order is None:
            raise Unfit("noOrder", "its place in the conversation is missing")
        others = {name: value for name, get in self._others if (value := get(record)) is not None}
        message = {"role": role, "content": self._content(record)}
        key = conversation if isinstance(conversation, str) else to_json(conversation)
        self._rows.append((key, number, to_json(order), to_json({_MESSAGES: message} | others)))

    def table(self) -> pa.Table:
        """The utterances taken in since the last call."""
        arrays = [
            pa.array(values, kind) for values, kind in zip(zip(*self._rows, strict=True), SCHEMA.types, strict=True)
        ]
        self._rows = []
        return pa.Table.from_arrays(arrays, schema=SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Some of the conversations of a source: those whose hash leaves `number` when divided by `count`."""

    number: int
    count: int
    source: str
    columns: Columns
    files: tuple[tuple[str, Path], ...]
    """Name and spill file of each file, in order."""
    limits: Limits
    spill: Path
    """Where the rows go."""


@dataclass(slots=True, kw_only=True)
class BucketSummary:
    """What came of a bucket; bad rows by the number of their file."""

    rows: int = 0
    exchanges: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, BadRow]] = field(default_factory=list)


def bucket_count(files: list[Path]) -> int:
    """How many buckets a source needs so that each fits in memory: from its size alone."""
    return 1 + sum(path.stat().st_size for path in files) // BUCKET_BYTES


def read_bucket(bucket: Bucket) -> BucketSummary:
    """Make rows of the conversations of a bucket."""
    summary = BucketSummary()
    columns = bucket.columns.model_copy(
        update={"conversation": None, "order": None, "messages": _MESSAGES, "role": "role", "content": "content"}
    )
    mapping = Mapping(columns, bucket.limits.turns)
    builder = RowBuilder(bucket.source)
    with SpillWriter(bucket.spill) as spill:
        for file, number, record in _conversations(bucket):
            builder.path = bucket.files[file][0]
            try:
                rows = mapping.rows(record, summary.dropped)
                extras = mapping.extras(record)
                summary.exchanges += sum(builder.add(number, part, turns, extras) for part, turns in rows)
                summary.rows += len(rows)
            except Empty as empty:
                summary.dropped[empty.code] += 1
            except Unfit as unfit:
                summary.bad.append((file, BadRow(number, unfit.code, unfit.reason)))
            if builder.text_bytes >= bucket.limits.block_bytes:
                spill.write(builder.table())
        if len(builder):
            spill.write(builder.table())
    return summary


def _conversations(bucket: Bucket) -> Iterator[tuple[int, int, Record]]:
    """Each conversation of a bucket as one record with a list of messages, after file and number of its first row."""
    in_bucket = plh.col("conversation").nchash.xxh3_64() % bucket.count == bucket.number
    frames = [
        pl.scan_ipc(path).filter(in_bucket).with_columns(pl.lit(n, pl.UInt32).alias("file"))
        for n, (_, path) in enumerate(bucket.files)
    ]
    rows = pl.concat(frames).collect().sort("conversation", "file", "number")
    columns = ("conversation", "file", "number", "order", "record")
    for _, group in groupby(rows.select(columns).iter_rows(), itemgetter(0)):
        utterances = list(group)
        _, file, number, *_ = utterances[0]
        records = [orjson.loads(row[4]) for row in _ordered(utterances)]
        whole: Record = {}
        for record in reversed(records):
            whole |= record
        whole[_MESSAGES] = [record[_MESSAGES] for record in records]
        yield file, number, whole


def _ordered(utterances: list[Any]) -> list[Any]:
    """By number if every place is one (also as text), else by text; equal places stay in the order of the files."""
    places = [orjson.loads(row[3]) for row in utterances]
    try:
        keys: list[Any] = [float(place or 0) for place in places]
    except (TypeError, ValueError):
        keys = [str(place) for place in places]
    return [row for _, row in sorted(zip(keys, utterances, strict=True), key=lambda pair: pair[0])]
