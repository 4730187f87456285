"""Which fields of this operator's TrainingRun the served CRD lacks: the API server drops those without a word. Pure.

Helm does not update CRDs by itself, so a new operator may meet an old schema. It then starts no run: a field that was
dropped may be a limit that somebody relies on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainwright.api.schema import crd

Schema = Mapping[str, Any]


def missing_fields(served: Schema) -> tuple[str, ...]:
    """Paths of fields under spec and status that `served`, the schema of the API server, does not have."""
    own = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found = served.get("properties") or {}
    return tuple(
        path for part in ("spec", "status") for path in _missing(own["properties"][part], found.get(part) or {}, part)
    )


def _missing(own: Schema, served: Schema, path: str) -> Iterator[str]:
    for name, member in (own.get("properties") or {}).items():
        other = (served.get("properties") or {}).get(name)
        if other is None:
            yield f"{path}.{name}"
        else:
            yield from _missing(member, other, f"{path}.{name}")
    if "items" in own:
        yield from _missing(own["items"], served.get("items") or {}, f"{path}[]")
    values = own.get("additionalProperties")
    if isinstance(values, Mapping):
        yield from _missing(values, served.get("additionalProperties") or {}, f"{path}.*")
