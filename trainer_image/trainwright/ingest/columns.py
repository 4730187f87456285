"""Reads values out of records as the spec's `columns` say: a column's name, or a template that merges several.

A name with points reaches into objects (`meta.rating`) where no column has that very name. A bare name must hold text;
a template also writes numbers. Null, missing and blank values leave nothing behind: no word for them and no blank lines
around them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from trainwright.api.data import Columns
from trainwright.errors import InvalidSpec
from trainwright.ingest.records import Record, Unfit, kind_of

Get = Callable[[Record], Any]
GetText = Callable[[Record], str | None]

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BLANK_LINES = re.compile(r"\n{3,}")


def names_in(value: str) -> list[str]:
    """The columns that a value of `columns` names."""
    return [part for part, is_column in _parse(value) if is_column] if _is_template(value) else [value]


def columns_read(columns: Columns) -> frozenset[str]:
    """The names of all columns of a record that these `columns` read."""
    values = [columns.text, columns.prompt, columns.response, columns.messages, columns.conversation, columns.system]
    values += [columns.history, columns.order, columns.tools, columns.group, columns.rating, *columns.keep]
    if columns.conversation is not None:
        values += [columns.role, columns.content]
    return frozenset(name for value in values if value is not None for name in names_in(value))


def column(name: str) -> Get:
    """A function that gets the value of a column as it is; None where it is missing."""
    if "." not in name:
        return lambda record: record.get(name)
    path = name.split(".")

    def get(record: Record) -> Any:
        return record[name] if name in record else _reach(record, path)

    return get


def text(value: str) -> GetText:
    """A function that gets the text that a column holds or a template makes; None where there is none.

    Raises (when called):
        Unfit: the column holds a number, a list or an object.
    """
    return _template(value) if _is_template(value) else _text_column(value)


def plain_text(value: Any, name: str) -> str | None:
    """Text as it stands in a row, or the text parts of a list of content parts.

    Raises:
        Unfit: it is a number, an object, or a list with parts that are not text.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return joined_parts(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    raise Unfit("wrongType", f"{name} is {kind_of(value)}, not text")


def joined_parts(parts: list[Any]) -> str:
    """The text of a list of content parts, as chat APIs write them.

    Raises:
        Unfit: a part is a picture, a sound or anything else that is not text.
    """
    texts = []
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("text"), str) and "text" in str(part.get("type", "text")):
            texts.append(part["text"])
        else:
            kind = str(part.get("type"))[:40] if isinstance(part, dict) else kind_of(part)
            raise Unfit("notText", f"not text: a list with a part that is {kind}")
    return "".join(texts)


def _text_column(name: str) -> GetText:
    get = column(name)

    def read(record: Record) -> str | None:
        value = record[name] if name in record else get(record)
        return value if type(value) is str else plain_text(value, name)

    return read


def _template(template: str) -> GetText:
    parts = [(column(part) if is_column else None, part) for part, is_column in _parse(template)]

    def render(record: Record) -> str | None:
        texts, filled, empty = [], False, False
        for get, part in parts:
            if get is None:
                texts.append(part)
                continue
            value = _written(get(record), part)
            texts.append(value)
            filled, empty = filled or bool(value), empty or not value
        if not filled:
            return None
        return _BLANK_LINES.sub("\n\n", "".join(texts)).strip() if empty else "".join(texts)

    return render


def _written(value: Any, name: str) -> str:
    """A value inside a template: text as it is (nothing if blank), numbers as JSON writes them."""
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return plain_text(value, name) or ""


def _is_template(value: str) -> bool:
    return "{" in value or "}" in value


def _parse(template: str) -> list[tuple[str, bool]]:
    """Literals and column names in order; `{{` and `}}` are braces.

    Raises:
        InvalidSpec: a brace has no partner, or a name is empty.
    """
    parts: list[tuple[str, bool]] = []
    end = 0
    for token in _TOKEN.finditer(template):
        parts.append((template[end : token.start()], False))
        end = token.end()
        if token[0] in ("{{", "}}"):
            parts.append((token[0][0], False))
        elif token[1]:
            parts.append((token[1], True))
        else:
            raise InvalidSpec(
                f"the template {template!r} has a brace without a column at position {token.start() + 1}",
                hint="write {column}; a brace itself is written {{ or }}",
            )
    parts.append((template[end:], False))
    return [(part, is_column) for part, is_column in parts if part]


def _reach(value: Any, path: list[str]) -> Any:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
