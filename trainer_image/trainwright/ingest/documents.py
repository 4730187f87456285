"""Finds the records in a document (JSON, YAML): a list of them, an object of them keyed by id, or one list among keys.

- a list: each object is a record, each list of messages or of texts a conversation, other lists are flattened;
- an object whose values are all objects (or all lists): each value is a record; its key is the record's `id`;
- an object with one list of records (`data`, `conversations`, …): each item is a record, the other keys go along;
- any other object is one record.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trainwright.ingest.records import Record

CONTAINERS = ("data", "rows", "records", "examples", "items", "conversations", "dialogues", "dialogs", "train")
MESSAGE_KEYS = frozenset({"role", "from", "speaker", "sender", "author", "content", "value"})
CONVERSATION = "messages"


def records_of(document: Any) -> Iterator[Any]:
    """Yield the records of a document in order; what is no record (a number, null) comes as it is, to be refused."""
    if isinstance(document, list):
        yield from _items(document, CONVERSATION)
    elif isinstance(document, dict):
        yield from _of_object(document)
    else:
        yield document


def _of_object(document: Record) -> Iterator[Any]:
    if _is_keyed_by_id(document):
        for key, value in document.items():
            if isinstance(value, dict):
                yield value if "id" in value else {"id": key} | value
            else:
                yield {"id": key, CONVERSATION: value}
        return
    name = next((name for name in CONTAINERS if _holds_records(document.get(name))), None)
    if name is None:
        yield document
        return
    around = {key: value for key, value in document.items() if key != name}
    for item in _items(document[name], name):
        yield around | item if isinstance(item, dict) else item


def _is_keyed_by_id(document: Record) -> bool:
    values = list(document.values())
    if not values or any(key in CONTAINERS or key == CONVERSATION for key in document):
        return False
    return all(isinstance(value, dict) for value in values) or all(_is_conversation(value) for value in values)


def _holds_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict | list) and not _is_message(value[0])


def _items(items: list[Any], name: str) -> Iterator[Any]:
    for item in items:
        if not isinstance(item, list):
            yield {"text": item} if isinstance(item, str) and name == CONVERSATION else item
        elif _is_conversation(item):
            yield {name: item}
        else:
            yield from _items(item, name)


def _is_conversation(value: Any) -> bool:
    """A list of messages, of lists of messages or of texts."""
    if not isinstance(value, list) or not value:
        return False
    first = value[0]
    return isinstance(first, str) or _is_message(first) or (isinstance(first, list) and _is_conversation(first))


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and not MESSAGE_KEYS.isdisjoint(value)
