"""Cuts a stream into blocks of whole lines.

Only \\n and \\r\\n end a line: U+2028, U+0085, vertical tab, form feed and U+001C are text. A line longer than the
limit becomes None and is skipped without being held in memory; a byte order mark is taken off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trainwright.errors import BadInput
from trainwright.ingest.records import Opened

BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


class LineBlock(NamedTuple):
    """Lines without their \\n, the number of the first (from 0 through the file), and the bytes they are cut from."""

    first: int
    lines: list[bytes | None]
    data: bytes


def line_blocks(file: Opened) -> Iterator[LineBlock]:
    """Yield the lines of a file, about a megabyte at a time.

    Raises:
        BadInput: the file begins with the mark of an encoding that is not UTF-8.
    """
    number, rest, skipping = file.first_line, b"", False
    chunk = _begin(file)
    while chunk:
        lines: list[bytes | None] = []
        if skipping:
            end = chunk.find(b"\n")
            if end < 0:
                chunk = file.stream.read(file.limits.block_bytes)
                continue
            chunk, skipping = chunk[end + 1 :], False
            lines.append(None)
        data = rest + chunk
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            lines += whole.split(b"\n")
            if len(whole) > file.limits.row_bytes:
                lines = [line if line is None or len(line) <= file.limits.row_bytes else None for line in lines]
        if len(rest) > file.limits.row_bytes:
            rest, skipping = b"", True
        if lines:
            yield LineBlock(number, lines, whole)
            number += len(lines)
        chunk = file.stream.read(file.limits.block_bytes)
    if rest or skipping:
        yield LineBlock(number, [None if skipping else rest], rest)


def utf8_reason(error: UnicodeDecodeError) -> str:
    """Say where a line stops being UTF-8."""
    return f"not UTF-8 at byte {error.start + 1} of the line"


def too_long_reason(file: Opened) -> str:
    """Say that a line is over the limit."""
    return f"longer than {file.limits.row_bytes} bytes"


def _begin(file: Opened) -> bytes:
    chunk = file.stream.read(file.limits.block_bytes)
    if file.first_line:
        return chunk
    for mark, encoding in _OTHER_ENCODINGS.items():
        if chunk.startswith(mark):
            raise BadInput(
                f"{file.name} is written in {encoding}", hint="save it as UTF-8 (iconv -f UTF-16 -t UTF-8 FILE)"
            )
    return chunk.removeprefix(BOM)
