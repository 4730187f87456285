"""Settings that change nothing, because what they belong to is switched off: `trainwright validate` warns of them."""

from __future__ import annotations

from collections.abc import Iterator

from trainwright.api.rules import ApiModel
from trainwright.api.run import Spec


def without_effect(spec: Spec) -> list[str]:
    """Name the fields that a user set inside a group whose `enabled` is false, by path."""
    return list(_idle(spec, ""))


def _idle(group: ApiModel, path: str) -> Iterator[str]:
    is_off = getattr(group, "enabled", True) is False
    for name, field in type(group).model_fields.items():
        alias, member = field.alias or name, getattr(group, name)
        if is_off and name in group.model_fields_set and name != "enabled":
            yield f"{path}{alias}"
        elif isinstance(member, ApiModel):
            yield from _idle(member, f"{path}{alias}.")
