"""Every field of a model as a row for people: path, kind of value with its bounds, default, meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainwright.api.rules import ApiModel
from trainwright.api.scalars import KIND_OF_VALUE
from trainwright.api.structural import Schema, structural
from trainwright.api.walk import fields

_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """One field: `path` as in `data.sources[].uri`, `kind` in words, `default` as JSON or empty, `text` what it is."""

    path: str
    kind: str
    default: str
    required: bool
    text: str


def field_table(model: type[ApiModel]) -> list[FieldRow]:
    """List every field of a model and of all models in it, in the order of the models.

    Fields that share one model, such as the stages', are followed by its fields once, under `*`.
    """
    return list(_rows(model, structural(model), ""))


def _rows(model: type[ApiModel], schema: Schema, prefix: str) -> Iterator[FieldRow]:
    shared = _shared_model(model)
    for name, inner in fields(model).items():
        member = schema["properties"][name]
        yield FieldRow(
            path=f"{prefix}{name}",
            kind=_kind(member, is_group=inner is not None),
            default=_default(member.get("default")),
            required=name in schema.get("required", []),
            text=member["description"],
        )
        if inner is not None and shared is None:
            is_list = member["type"] == "array"
            yield from _rows(inner, member["items"] if is_list else member, f"{prefix}{name}{'[]' if is_list else ''}.")
    if shared is not None:
        yield from _rows(shared, next(iter(schema["properties"].values())), f"{prefix}*.")


def _shared_model(model: type[ApiModel]) -> type[ApiModel] | None:
    inner = list(fields(model).values())
    return inner[0] if len(inner) > 1 and len(set(inner)) == 1 else None


def _default(default: Any) -> str:
    if default is None:
        return ""
    return default if isinstance(default, str) else json.dumps(default)


def _kind(schema: Schema, *, is_group: bool) -> str:
    """Say in words what a value is, and within which bounds."""
    if KIND_OF_VALUE in schema:
        return str(schema[KIND_OF_VALUE])
    kind = schema["type"]
    if "enum" in schema:
        return " | ".join(f"`{value}`" for value in schema["enum"])
    if kind == "array":
        items = "groups" if is_group else f"({_kind(schema['items'], is_group=False)})"
        return f"list of {items}{_length(schema, 'Items', 'entries')}"
    if kind == "object":
        return "group" if is_group else f"map{_length(schema, 'Properties', 'entries')}"
    if kind == "string":
        return f"{'time' if schema.get('format') == 'date-time' else 'text'}{_length(schema, 'Length', 'characters')}"
    return f"{_PLAIN[kind]}{_range(schema)}"


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = "> " if schema.get("exclusiveMinimum") else "≥ "
    below = "< " if schema.get("exclusiveMaximum") else "≤ "
    parts = [f"{above}{low:,}" if low is not None else "", f"{below}{high:,}" if high is not None else ""]
    told = ", ".join(part for part in parts if part)
    return f" {told}" if told else ""


def _length(schema: Schema, of: str, unit: str) -> str:
    low, high = schema.get(f"min{of}", 0), schema.get(f"max{of}")
    if high is None:
        return ""
    if low == high:
        return f", {high:,} {unit}"
    return f", {low:,} to {high:,} {unit}" if low > 1 else f", at most {high:,} {unit}"
