"""JSON Lines: one object a line, parsed by orjson, which is exact about types and strict about UTF-8 and surrogates.

Every line is accounted for: it is a record, a bad row with its reason, or blank. A key that stands twice in one object
makes a bad row, since no reader could say which value was meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from trainwright.ingest.lines import line_blocks, too_long_reason
from trainwright.ingest.records import Block, Opened

_KEY_END = b'":'


def read(file: Opened) -> Iterator[Block]:
    """Yield the records of a JSON Lines file, a block for about a megabyte of lines."""
    for first, lines in line_blocks(file):
        block = Block(checked=len(lines))
        _parse(block, first, lines, file)
        _refuse_duplicates(block, first, lines)
        yield block


def _parse(block: Block, first: int, lines: list[bytes | None], file: Opened) -> None:
    loads, records, numbers = orjson.loads, block.records, block.numbers
    for number, line in enumerate(lines, first):
        try:
            record = loads(line)  # type: ignore[arg-type]
        except orjson.JSONDecodeError as error:
            if line is None:
                block.refuse(number, "tooLong", too_long_reason(file))
            elif not line.strip():
                block.blank += 1
            else:
                block.refuse(number, *_why(line, error))
            continue
        if type(record) is dict:
            records.append(record)
            numbers.append(number)
        else:
            block.refuse(number, "notAnObject", f"{_kind(record)} instead of an object")


def _why(line: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    try:
        line.decode()
    except UnicodeDecodeError as encoding:
        return "notUtf8", f"not UTF-8 at byte {encoding.start + 1} of the line"
    if "surrogate" in error.msg:
        return "loneSurrogate", f"half of a surrogate pair at character {error.colno}"
    return "notJson", f"no valid JSON: {error.msg} at character {error.colno}"


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _refuse_duplicates(block: Block, first: int, lines: list[bytes | None]) -> None:
    """Find objects with a key twice by counting keys before and after parsing: first for the block, then by line."""
    before = sum(line.count(_KEY_END) for line in lines if line)
    if before == sum(map(len, block.records)) or before == orjson.dumps(block.records).count(_KEY_END):
        return
    kept, numbers = block.records, block.numbers
    block.records, block.numbers = [], []
    for number, record in zip(numbers, kept, strict=True):
        line = lines[number - first] or b""
        key = None if line.count(_KEY_END) == orjson.dumps(record).count(_KEY_END) else _duplicate(line)
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
