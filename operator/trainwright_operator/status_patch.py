"""The smallest merge patch from one status to another, and whether it is progress alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROGRESS = frozenset({"progress", "message", "checkpoint", "evaluations", "best"})
"""Parts that move all the time; a patch of these alone may wait."""
MOVING = frozenset({"done", "total", "message"})
"""The same within a stage."""


def status_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What to merge into `old` to make it `new`; absent members are removed, lists are replaced whole (RFC 7386)."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = status_patch(before, value)
            if inner:
                patch[name] = inner
        elif value != before:
            patch[name] = value
    return patch


def is_only_progress(patch: Mapping[str, Any]) -> bool:
    """Whether nothing else than figures moves."""
    stages = patch.get("stages") or {}
    return set(patch) <= PROGRESS | {"stages"} and all(
        isinstance(entry, Mapping) and set(entry) <= MOVING for entry in stages.values()
    )
