"""Reads one file of a source into canonical rows: the unit of work that is shared among processes.

In: a file, its format and the source's columns. Out: a spill file (Arrow IPC, the tables of canonical.py) in the
stage's folder, and a summary of all that was seen, taken, dropped and refused. The output depends on the file alone.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trainwright.api.data import Columns
from trainwright.errors import BadInput
from trainwright.ingest.canonical import NO_EXTRAS, RowBuilder
from trainwright.ingest.columns import columns_read
from trainwright.ingest.limits import Limits
from trainwright.ingest.mapping import Mapping
from trainwright.ingest.pieces import Piece
from trainwright.ingest.readers import BY_LINE, reader_of
from trainwright.ingest.records import BadRow, Block, Empty, Opened, Record, Unfit
from trainwright.ingest.shapes import guess
from trainwright.ingest.spill import SpillWriter
from trainwright.ingest.streams import open_plain
from trainwright.ingest.utterances import Utterances
from trainwright.storage import File, store_error

SPILL_ROWS = 65_536
SPILL_BYTES = 16 << 20
MAX_COLUMNS = 10_000
FIRST_BAD = 10


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
    """Where the rows (or utterances) go; absent afterwards if there were none."""
    piece: Piece | None = None
    """The part of the file to read; None: all of it."""
    max_records: int | None = None
    """Stop soon after so many records."""

    @property
    def size_bytes(self) -> int:
        """Bytes to read, as they are stored."""
        return self.piece.end - self.piece.start if self.piece else self.file.size_bytes


@dataclass(slots=True, kw_only=True)
class FileSummary:
    """What was found in a file."""

    source: str
    name: str
    format: str
    bad_rows: Path
    """JSON Lines of all bad rows; absent if there are none."""
    checked: int = 0
    """Lines, or records of formats without lines: records + bad rows that were unreadable + blank ones."""
    blank: int = 0
    is_partial: bool = False
    """Reading stopped at `max_records`."""
    records: int = 0
    rows: int = 0
    exchanges: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    first_bad: list[BadRow] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    """Every column seen, with the number of the record it begins at."""
    mappings: Counter[str] = field(default_factory=Counter)
    """The columns in use, as JSON, with the number of records read so."""

    def count(self, block: Block) -> None:
        """Count what a block holds, the bad rows aside."""
        self.checked += block.checked
        self.blank += block.blank
        self.records += len(block.records)

    def see(self, record: Record, number: int) -> None:
        """Note columns that were not seen before."""
        for name in record:
            if len(self.columns) < MAX_COLUMNS:
                self.columns.setdefault(name, number)

    def note_bad(self, rows: list[BadRow]) -> None:
        """Count bad rows and append them to their file, in order."""
        if not rows:
            return
        rows = sorted(rows, key=lambda row: row.number)
        self.bad.update(row.code for row in rows)
        self.first_bad += rows[: max(0, FIRST_BAD - len(self.first_bad))]
        with self.bad_rows.open("a", encoding="utf-8") as file:
            for row in rows:
                place = {"source": self.source, "file": self.name, self._unit: row.number + 1}
                file.write(json.dumps(place | {"code": row.code, "reason": row.reason}) + "\n")

    def where(self, number: int) -> str:
        """Where record `number` stands: file and line, or record where a format has no lines."""
        return f"{self.name}, {self._unit} {number + 1}"

    @property
    def _unit(self) -> str:
        return "line" if self.format in BY_LINE else "record"


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
    bad_rows = task.spill.with_suffix(".bad.jsonl")
    bad_rows.unlink(missing_ok=True)
    summary = FileSummary(source=task.source, name=task.file.name, format=task.format, bad_rows=bad_rows)
    with SpillWriter(task.spill) as spill:
        if task.columns is not None and task.columns.conversation is not None:
            _read_utterances(task, task.columns, summary, spill)
        else:
            _read_rows(task, summary, spill)
    return summary


def _read_rows(task: FileTask, summary: FileSummary, spill: SpillWriter) -> None:
    converter = Converter(task.columns, task.limits, summary)
    builder = RowBuilder(task.source, task.file.name)
    for block in _blocks_of(task, summary):
        converter.take(block, builder)
        if len(builder) >= SPILL_ROWS or builder.text_bytes >= SPILL_BYTES:
            spill.write(builder.table())
    if len(builder):
        spill.write(builder.table())
    converter.finish()


def _read_utterances(task: FileTask, columns: Columns, summary: FileSummary, spill: SpillWriter) -> None:
    utterances = Utterances(columns)
    for block in _blocks_of(task, summary):
        summary.count(block)
        for number, record in zip(block.numbers, block.records, strict=True):
            summary.see(record, number)
            try:
                utterances.add(number, record)
            except Unfit as unfit:
                block.refuse(number, unfit.code, unfit.reason)
        summary.note_bad(block.bad)
        if len(utterances):
            spill.write(utterances.table())
    summary.mappings[columns.model_dump_json(exclude_defaults=True)] += summary.records


def _blocks_of(task: FileTask, summary: FileSummary) -> Iterator[Block]:
    for block in blocks(task):
        yield block
        if task.max_records is not None and summary.records >= task.max_records:
            summary.is_partial = True
            return


def blocks(task: FileTask, *, whole: bool = False) -> Iterator[Block]:
    """The records of a file, block by block; `whole` with all columns, else with at least those that are wanted.

    Raises:
        BadInput: the file cannot be read, is truncated or is not of its format.
        RetryLater: the store does not answer.
    """
    wanted = columns_read(task.columns) if task.columns and not whole else None
    first_line = task.piece.first_line if task.piece else 0
    try:
        with task.piece.open() if task.piece else open_plain(task.file) as stream:
            opened = Opened(
                stream=stream, name=task.file.name, limits=task.limits, wanted=wanted, first_line=first_line
            )
            yield from reader_of(task.format)(opened)
    except OSError as error:
        if task.file.local is None:
            raise store_error(task.file.uri, error) from error
        raise BadInput(f"{task.file.local} cannot be read: {error}", hint="check the file and its disk") from error


class Converter:
    """Turns the records of a file into rows and keeps its summary.

    Records are looked at one by one; only pairs without anything else are taken many at a time.
    """

    def __init__(self, columns: Columns | None, limits: Limits, summary: FileSummary) -> None:
        self._summary = summary
        self._limits = limits
        self._given = columns
        self._by_keys: dict[tuple[str, ...], Mapping] = {}
        self._by_columns: dict[str, Mapping] = {}

    def take(self, block: Block, builder: RowBuilder) -> None:
        """Add the rows of a block to `builder`."""
        summary = self._summary
        summary.count(block)
        by_keys = self._by_keys
        pairs: list[tuple[str, str]] = []
        pair_numbers: list[int] = []
        for number, record in zip(block.numbers, block.records, strict=True):
            try:
                mapping = by_keys.get(tuple(record)) or self._meet(record, number)
                mapping.records += 1
                pair = mapping.pair and mapping.pair(record)
                if pair is None:
                    self._add(number, record, mapping, builder)
                else:
                    pairs.append(pair)
                    pair_numbers.append(number)
            except Empty as empty:
                summary.dropped[empty.code] += 1
            except Unfit as unfit:
                block.refuse(number, unfit.code, unfit.reason)
        if pairs:
            builder.add_pairs(pair_numbers, pairs)
        summary.rows += len(pairs)
        summary.exchanges += len(pairs)
        summary.note_bad(block.bad)

    def finish(self) -> None:
        """Complete the summary."""
        for text, mapping in self._by_columns.items():
            self._summary.mappings[text] = mapping.records

    def _add(self, number: int, record: Record, mapping: Mapping, builder: RowBuilder) -> None:
        rows = mapping.rows(record, self._summary.dropped)
        extras = mapping.extras(record) if mapping.has_extras else NO_EXTRAS
        for part, turns in rows:
            self._summary.exchanges += builder.add(number, part, turns, extras)
        self._summary.rows += len(rows)

    def _meet(self, record: Record, number: int) -> Mapping:
        """Find the mapping for a combination of columns that was not seen before, or not understood."""
        self._summary.see(record, number)
        columns = self._given or guess(record)
        if columns is None:
            raise Unfit("unknownShape", f"no usual shape: its columns are {', '.join(record)[:200]}")
        text = columns.model_dump_json(exclude_defaults=True)
        mapping = self._by_columns.get(text)
        if mapping is None:
            mapping = self._by_columns[text] = Mapping(columns, self._limits.turns)
        if len(self._by_keys) < MAX_COLUMNS:
            self._by_keys[tuple(record)] = mapping
        return mapping
