"""A JSON document: a list of records, an object of records keyed by id, or one list of records among other keys.

A file of this suffix that holds JSON Lines is read as such. The document is held in memory; the limit says from which
size on it must be JSON Lines.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import orjson

from trainwright.errors import BadInput
from trainwright.ingest.documents import records_of
from trainwright.ingest.lines import BOM
from trainwright.ingest.readers import jsonl
from trainwright.ingest.records import Block, Opened, Record, kind_of

BLOCK_RECORDS = 4096


def read(file: Opened) -> Iterator[Block]:
    """Yield the records of a JSON document.

    Raises:
        BadInput: the file is too large to be one document, is no JSON, or repeats the id of a record.
    """
    data = file.stream.read(file.limits.json_bytes + 1).removeprefix(BOM)
    if len(data) > file.limits.json_bytes:
        raise BadInput(
            f"{file.name} is larger than {file.limits.json_bytes} bytes", hint="convert it to JSON Lines (.jsonl)"
        )
    if not data.strip():
        return
    if _is_json_lines(data):
        yield from jsonl.read(Opened(stream=io.BytesIO(data), name=file.name, limits=file.limits))
        return
    document, has_repeats = _parse(data, file.name)
    yield from blocks_of(records_of(document), has_repeats=has_repeats, has_escapes=b"\\u" in data)


def blocks_of(records: Iterator[Any], *, has_repeats: bool = False, has_escapes: bool = False) -> Iterator[Block]:
    """Number records from 0 and cut them into blocks.

    Refused is what is no object, repeats a key (looked for only where `has_repeats`), or holds half of a surrogate pair
    (only where `has_escapes`).
    """
    block = Block()
    for number, record in enumerate(records):
        block.checked += 1
        if not isinstance(record, dict):
            block.refuse(number, "notAnObject", f"{kind_of(record)} instead of an object")
        elif has_escapes and _is_torn(record):
            block.refuse(number, "loneSurrogate", "half of a surrogate pair, which no text can hold")
        elif has_repeats and (key := _repeated(record)) is not None:
            block.refuse(number, "duplicateKey", f"the key {key[:60]!r} stands twice in one object")
        else:
            block.add(number, record)
        if block.checked == BLOCK_RECORDS:
            yield block
            block = Block()
    if block.checked:
        yield block


class _Repeated(dict[str, Any]):
    """An object in which `key` stands more than once."""

    key = ""


def _is_torn(record: Record) -> bool:
    try:
        json.dumps(record, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def _is_json_lines(data: bytes) -> bool:
    first, _, rest = data.lstrip().partition(b"\n")
    if not rest.strip() or not first.startswith(b"{"):
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return True


def _parse(data: bytes, name: str) -> tuple[Any, bool]:
    """The document, and whether any object in it repeats a key."""
    repeats: list[str] = []

    def member(pairs: list[tuple[str, Any]]) -> Record:
        record = dict(pairs)
        if len(record) == len(pairs):
            return record
        keys = [key for key, _ in pairs]
        repeated = _Repeated(record)
        repeated.key = next(key for n, key in enumerate(keys) if key in keys[:n])
        repeats.append(repeated.key)
        return repeated

    try:
        document = json.loads(data.decode(), object_pairs_hook=member)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{name}, line {line}: not UTF-8 at byte {error.start + 1}", hint="save it as UTF-8") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{name} is no valid JSON: {error}", hint="it may be truncated; check its end") from error
    if isinstance(document, _Repeated):
        raise BadInput(f"{name}: the key {document.key[:60]!r} stands twice", hint="give each record an id of its own")
    return document, bool(repeats)


def _repeated(value: Any) -> str | None:
    if isinstance(value, _Repeated):
        return value.key
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((key for member in members if (key := _repeated(member)) is not None), None)
