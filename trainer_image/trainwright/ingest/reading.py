"""Reads one file of a source into canonical rows: the unit of work that is shared among processes.

In: a file, its format and the source's columns. Out: a spill file (Arrow IPC, the frames of canonical.py) in the stage's
folder, and a summary of everything that was seen, taken, dropped and refused. The output depends on the file alone.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import polars as pl
import pyarrow as pa

from trainwright.api.data import Columns
from trainwright.ingest.canonical import NO_EXTRAS, RowBuilder
from trainwright.ingest.limits import Limits
from trainwright.ingest.mapping import Mapping, extras
from trainwright.ingest.readers import BY_LINE, reader_of
from trainwright.ingest.records import BadRow, Block, Empty, Opened, Record, Unfit
from trainwright.ingest.shapes import guess
from trainwright.ingest.streams import open_plain
from trainwright.storage import File

SPILL_ROWS = 65_536
SPILL_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTask:
    """One file to read."""

    source: str
    """Name of the source, as rows carry it."""
    file: File
    format: str
    columns: Columns | None
    limits: Limits
    spill: Path
    """Where the rows go; absent afterwards if there were none."""


@dataclass(slots=True, kw_only=True)
class FileSummary:
    """What was found in a file."""

    name: str
    format: str
    checked: int = 0
    """Lines, or records of formats without lines: records + bad rows that were unreadable + blank ones."""
    blank: int = 0
    records: int = 0
    rows: int = 0
    exchanges: int = 0
    text_bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bad: list[BadRow] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    """Every column seen, with the number of the record it begins at."""
    mappings: Counter[str] = field(default_factory=Counter)
    """The columns in use, as JSON, with the number of records read so."""

    def place(self, number: int) -> dict[str, int | str]:
        """Where record `number` stands, for messages and bad.jsonl."""
        return {"file": self.name, "line" if self.format in BY_LINE else "record": number + 1}


def read_file(task: FileTask) -> FileSummary:
    """Read a file, leave its rows in the spill file and say what was found.

    Raises:
        BadInput: the file cannot be read, is truncated or is not of its format.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _read(task)
    finally:
        if was_enabled:
            gc.enable()


def _read(task: FileTask) -> FileSummary:
    summary = FileSummary(name=task.file.name, format=task.format)
    converter = _Converter(task, summary)
    builder = RowBuilder(task.source, task.file.name)
    with _SpillWriter(task.spill) as spill:
        for block in blocks(task.file, task.format, task.limits, task.columns):
            converter.take(block, builder)
            if len(builder) >= SPILL_ROWS or builder.text_bytes >= SPILL_BYTES:
                spill.write(builder.frame())
        if len(builder):
            spill.write(builder.frame())
    return summary


def blocks(file: File, format_name: str, limits: Limits, columns: Columns | None) -> Iterator[Block]:
    """The records of a file, block by block."""
    wanted = Mapping(columns, limits.turns).names if columns else None
    with open_plain(file) as stream:
        yield from reader_of(format_name)(Opened(stream=stream, name=file.name, limits=limits, wanted=wanted))


class _Converter:
    """Turns records into rows and keeps the summary."""

    def __init__(self, task: FileTask, summary: FileSummary) -> None:
        self._summary = summary
        self._limits = task.limits
        self._given = Mapping(task.columns, task.limits.turns) if task.columns else None
        self._by_keys: dict[tuple[str, ...], tuple[Mapping | None, str]] = {}
        self._by_columns: dict[str, Mapping] = {}

    def take(self, block: Block, builder: RowBuilder) -> None:
        summary = self._summary
        summary.checked += block.checked
        summary.blank += block.blank
        summary.records += len(block.records)
        bad = block.bad
        for number, record in zip(block.numbers, block.records, strict=True):
            try:
                self._add(number, record, builder)
            except Empty as empty:
                summary.dropped[empty.code] += 1
            except Unfit as unfit:
                bad.append(BadRow(number, unfit.code, unfit.reason))
            except (UnicodeEncodeError, orjson.JSONEncodeError):
                bad.append(BadRow(number, "loneSurrogate", "half of a surrogate pair, which no text can hold"))
        summary.bad += sorted(bad, key=lambda row: row.number)

    def _add(self, number: int, record: Record, builder: RowBuilder) -> None:
        keys = tuple(record)
        mapping, text = self._by_keys.get(keys) or self._meet(keys, number)
        if mapping is None:
            raise Unfit("unknownShape", text)
        summary = self._summary
        summary.mappings[text] += 1
        rows = mapping.rows(record, summary.dropped)
        more = extras(mapping, record) if mapping.has_extras else NO_EXTRAS
        for part, turns in rows:
            summary.exchanges += builder.add(number, part, turns, more)
        summary.rows += len(rows)

    def _meet(self, keys: tuple[str, ...], number: int) -> tuple[Mapping | None, str]:
        """Take note of a combination of columns that was not seen before."""
        for key in keys:
            self._summary.columns.setdefault(key, number)
        columns = self._given.columns if self._given else guess(keys)
        if columns is None:
            text = f"no usual shape has the columns {', '.join(keys)[:200]}; say under columns what they are"
            self._by_keys[keys] = None, text
            return None, text
        text = columns.model_dump_json(exclude_defaults=True)
        mapping = self._given or self._by_columns.setdefault(text, Mapping(columns, self._limits.turns))
        self._by_keys[keys] = mapping, text
        return mapping, text


class _SpillWriter:
    """Appends frames to one Arrow IPC file, which exists only if there was one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.RecordBatchFileWriter | None = None

    def __enter__(self) -> _SpillWriter:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow()
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), table.schema)
        self._writer.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
