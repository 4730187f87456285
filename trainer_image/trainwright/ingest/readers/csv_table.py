"""CSV and TSV: the first row names the columns, each further row is a record of texts.

Strict about quotes. Of a row that is ragged, badly quoted or not UTF-8 only the first line is refused and reading
goes on at the next line, so that an open quote costs one row and not all that it swallowed. A record's number is its
first line's.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator

from trainwright.errors import BadInput
from trainwright.ingest.lines import line_blocks, too_long_reason, utf8_reason
from trainwright.ingest.records import Block, Opened, Unfit
from trainwright.ingest.streams import plain_name

DELIMITERS = ",;\t|"
BLOCK_ROWS = 4096
_QUOTED = re.compile('"[^"]*"')


def read(file: Opened) -> Iterator[Block]:
    """Yield the records of a CSV file; the delimiter is the one of , ; tab | that the header holds most often.

    Raises:
        BadInput: the header cannot be read, or names a column twice.
    """
    csv.field_size_limit(file.limits.row_bytes)
    lines = _Lines(file)
    delimiter = "\t" if plain_name(file.name).endswith(".tsv") else _delimiter(lines)
    header = _header(lines, delimiter, file.name)
    block = Block()
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_row()
        try:
            row = next(reader)
            if row and len(row) != len(header):
                raise Unfit("ragged", f"{len(row)} fields, the header has {len(header)}")
        except StopIteration:
            break
        except (csv.Error, Unfit) as error:
            code, reason = (error.code, error.reason) if isinstance(error, Unfit) else ("badQuoting", str(error))
            block.refuse(lines.give_back(), code, reason)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
        else:
            if row:
                block.add(lines.first, dict(zip(header, row, strict=True)))
            else:
                block.blank += 1
        block.checked += 1
        if block.checked == BLOCK_ROWS:
            yield block
            block = Block()
    yield block


class _Lines:
    """The lines of a file as csv.reader wants them; those of a row can be given back."""

    def __init__(self, file: Opened) -> None:
        self._file = file
        self._fresh = (
            (number, line) for block in line_blocks(file) for number, line in enumerate(block.lines, block.first)
        )
        self._again: deque[tuple[int, bytes | None]] = deque()
        self._taken: list[tuple[int, bytes | None]] = []

    @property
    def first(self) -> int:
        """Number of the first line of the row at hand."""
        return self._taken[0][0]

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
        self._taken.clear()

    def give_back(self) -> int:
        """Put all lines of the row but the first back in front; returns the number of the first."""
        self._again.extendleft(reversed(self._taken[1:]))
        return self.first

    def peek(self) -> bytes:
        """The next line that is not blank, without taking it; nothing at the end."""
        for number, line in self._fresh:
            self._again.append((number, line))
            if line and line.strip():
                return line
        return b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = self._again.popleft() if self._again else next(self._fresh)
        self._taken.append((number, line))
        if line is None:
            raise Unfit("tooLong", too_long_reason(self._file))
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError as error:
            raise Unfit("notUtf8", utf8_reason(error)) from error


def _delimiter(lines: _Lines) -> str:
    header = _QUOTED.sub("", lines.peek().decode(errors="replace"))
    return max(DELIMITERS, key=header.count)


def _header(lines: _Lines, delimiter: str, name: str) -> list[str]:
    try:
        header = next((row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row), [])
    except (csv.Error, Unfit) as error:
        raise BadInput(
            f"{name}: the header cannot be read: {error}", hint="its first row must name the columns"
        ) from error
    header = [column.strip() for column in header]
    twice = next((column for n, column in enumerate(header) if column and column in header[:n]), None)
    if twice is not None:
        raise BadInput(f"{name}: two columns are called {twice!r}", hint="give each column a name of its own")
    return header
