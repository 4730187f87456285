"""Ways over the models: their fields by the names users write, and the models inside them."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from trainwright.api.rules import ApiModel, Rule, UpdateRule


def fields(model: type[ApiModel]) -> dict[str, type[ApiModel] | None]:
    """Name the fields of a model as users write them, each with the model inside it or inside its items, if any."""
    return {field.alias or name: model_in(field.annotation) for name, field in model.model_fields.items()}


def model_in(annotation: Any) -> type[ApiModel] | None:
    """Find the model inside an annotation such as `list[Source]` or `Lora | None`."""
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := model_in(part)) is not None), None)


def model_at(model: type[ApiModel], path: tuple[str | int, ...]) -> type[ApiModel] | None:
    """Find the model that a path leads to; None where it leads to a plain value or nowhere."""
    found: type[ApiModel] | None = model
    for name in path:
        if isinstance(name, str) and found is not None:
            found = fields(found).get(name)
    return found


def paths_to(model: type[ApiModel], name: str, prefix: str = "spec") -> Iterator[str]:
    """Name every place where a field of this name is known, the outermost first."""
    known = fields(model)
    if name in known:
        yield f"{prefix}.{name}"
    for field, inner in known.items():
        if inner is not None:
            yield from paths_to(inner, name, f"{prefix}.{field}")


def unknown_fields(
    model: type[ApiModel], value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Find the members of a JSON value that a model and the models in it do not know."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(model, item, (*path, index))
    known = fields(model)
    for name, member in value.items() if isinstance(value, Mapping) else ():
        inner = known.get(name)
        if name not in known:
            yield (*path, name)
        elif inner is not None:
            yield from unknown_fields(inner, member, (*path, name))


def rules_of(model: type[ApiModel], path: str = "") -> Iterator[tuple[str, Rule | UpdateRule]]:
    """Give every rule of a model and of all models in it, each with the path of the object that it is about."""
    for rule in model.rules:
        yield path, rule
    for update_rule in model.update_rules:
        yield path, update_rule
    for name, field in model.model_fields.items():
        if (inner := model_in(field.annotation)) is not None:
            items = "[]" if typing.get_origin(field.annotation) is list else ""
            yield from rules_of(inner, f"{path}.{field.alias or name}{items}".removeprefix("."))


def leads_on(value: Any, name: str | int) -> bool:
    """Say whether a JSON value has this member or item."""
    if isinstance(value, list):
        return isinstance(name, int) and 0 <= name < len(value)
    return isinstance(value, Mapping) and name in value


def member_at(value: Any, path: tuple[str | int, ...], *, absent: Any = None) -> Any:
    """Follow a path into a JSON value."""
    for name in path:
        if not leads_on(value, name):
            return absent
        value = value[name]
    return value


def dotted(path: tuple[str | int, ...]) -> str:
    """Write a path as in `spec.data.sources[0].uri`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")
