"""JSON Lines: one object a line, parsed by orjson, which is exact about types and strict about UTF-8 and surrogates.

Every line is accounted for: it is a record, a bad row with its reason, or blank. A key that stands twice in one object
makes a bad row, since no reader could say which value was meant. Integers beyond 64 bits become floating-point numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from trainwright.ingest.lines import LineBlock, line_blocks, too_long_reason
from trainwright.ingest.records import Block, Opened, Record, kind_of

_QUOTE, _COLON = b'":'


def read(file: Opened) -> Iterator[Block]:
    """Yield the records of a JSON Lines file, a block for about a megabyte of lines."""
    for lines in line_blocks(file):
        block = Block(checked=len(lines.lines))
        data = lines.data
        if not _parse_all(block, lines):
            _parse_each(block, lines, file)
            data = b"\n".join(lines.lines[number - lines.first] or b"" for number in block.numbers)
        keys = _keys_in(data)
        if keys != _members(block.records) and keys != _keys_in(orjson.dumps(block.records)):
            _refuse_duplicates(block, lines)
        yield block


def _parse_all(block: Block, lines: LineBlock) -> bool:
    """Parse lines that are all good: much the most frequent case."""
    loads = orjson.loads
    try:
        records = [loads(line) for line in lines.lines]  # type: ignore[arg-type]
    except orjson.JSONDecodeError:
        return False
    if set(map(type, records)) != {dict}:
        return False
    block.records, block.numbers = records, list(range(lines.first, lines.first + len(records)))
    return True


def _parse_each(block: Block, lines: LineBlock, file: Opened) -> None:
    for number, line in enumerate(lines.lines, lines.first):
        if line is None:
            block.refuse(number, "tooLong", too_long_reason(file))
        elif not line.strip():
            block.blank += 1
        else:
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                block.refuse(number, *_why(line, error))
                continue
            if type(record) is dict:
                block.add(number, record)
            else:
                block.refuse(number, "notAnObject", f"{kind_of(record)} instead of an object")


def _why(line: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    try:
        line.decode()
    except UnicodeDecodeError as encoding:
        return "notUtf8", f"not UTF-8 at byte {encoding.start + 1} of the line"
    if "surrogate" in error.msg:
        return "loneSurrogate", f"half of a surrogate pair at character {error.colno}"
    return "notJson", f"no valid JSON: {error.msg} at character {error.colno}"


def _keys_in(data: bytes) -> int:
    """How often a quote stands before a colon: once for every key, and where text holds the two."""
    codes = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero((codes[:-1] == _QUOTE) & (codes[1:] == _COLON)))


def _members(records: list[Record]) -> int:
    return sum(map(len, records))


def _refuse_duplicates(block: Block, lines: LineBlock) -> None:
    """Find the objects with a key twice: those whose line has more keys than what was parsed."""
    kept, numbers = block.records, block.numbers
    block.records, block.numbers = [], []
    for number, record in zip(numbers, kept, strict=True):
        line = lines.lines[number - lines.first] or b""
        key = None if line.count(b'":') == orjson.dumps(record).count(b'":') else _duplicate(line)
        if key is None:
            block.add(number, record)
        else:
            block.refuse(number, "duplicateKey", f"the key {key[:60]!r} stands twice in one object")


def _duplicate(line: bytes) -> str | None:
    found: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        keys = [key for key, _ in pairs]
        found.extend(key for n, key in enumerate(keys) if key in keys[:n])

    json.loads(line, object_pairs_hook=check)
    return found[0] if found else None
