"""What the readers of all formats give: blocks of records with their numbers, and the rows that cannot be read.

A record is the dictionary that one row of a source holds, with the values as they stand there. Its number counts from
0: the physical line where a format has lines (JSON Lines, CSV, text), else the position in the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from trainwright.ingest.limits import Limits

Record = dict[str, Any]


class Unfit(Exception):
    """A record that cannot become a row: `code` is counted, `reason` is one sentence without text of the row."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Empty(Exception):
    """A record without anything to learn from; `code` is counted among what is dropped, not among bad rows."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken in: where it stands and why, never what it says."""

    number: int
    code: str
    reason: str


@dataclass(slots=True)
class Block:
    """Some records of a file in order; `checked` counts lines (or records): records + bad + blank."""

    records: list[Record] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    blank: int = 0
    checked: int = 0

    def add(self, number: int, record: Record) -> None:
        """Take a record in."""
        self.records.append(record)
        self.numbers.append(number)

    def refuse(self, number: int, code: str, reason: str) -> None:
        """Note a row that cannot be read."""
        self.bad.append(BadRow(number, code, reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file being read: its stream (unpacked), its name for messages and the columns that are wanted (None: all)."""

    stream: BinaryIO
    name: str
    limits: Limits
    wanted: frozenset[str] | None = None
    first_line: int = 0
    """Number of the first line of the stream in its file."""


Reader = Callable[[Opened], Iterator[Block]]


def kind_of(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    names = {str: "text", list: "a list", type(None): "null"}
    return "an object" if isinstance(value, dict) else names.get(type(value), f"of type {type(value).__name__}")
