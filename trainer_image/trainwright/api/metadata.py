"""`metadata`: metav1.ObjectMeta as the API server takes it. On one machine only the name counts.

What the server writes itself (uid, managedFields, …) is known, so that a run read back from it can be judged and
applied again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from trainwright.api.rules import ApiModel
from trainwright.api.scalars import (
    LABEL_KEY_MESSAGE,
    LABEL_KEY_PATTERN,
    NAME_MESSAGE,
    NAME_PATTERN,
    LabelValue,
    broken,
    text_like,
)

_PREFIX_LENGTH = 253
_ANNOTATION_BYTES = 262_144
_TIME_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})"


def _check_keys(value: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in value:
        if not re.fullmatch(LABEL_KEY_PATTERN, key) or len(key.rpartition("/")[0]) > _PREFIX_LENGTH:
            raise broken("label-key", f"'{key}' {LABEL_KEY_MESSAGE}")
    return value


def _check_annotations(value: Mapping[str, str]) -> Mapping[str, str]:
    _check_keys({key.lower(): text for key, text in value.items()})
    if sum(len(key.encode()) + len(text.encode()) for key, text in value.items()) > _ANNOTATION_BYTES:
        raise broken("annotations", f"annotations may have {_ANNOTATION_BYTES:,} bytes at most, all together")
    return value


_Time = Annotated[
    str,
    *text_like("time", _TIME_PATTERN, "is no time: write 2026-01-31T12:00:00Z", 64, kind="time"),
]


class Metadata(ApiModel):
    """Name, namespace, labels; and what the API server writes."""

    name: Annotated[str, *text_like("name", NAME_PATTERN, NAME_MESSAGE, 253, kind="name")]
    """The run's name: 1 to 40 characters of a-z, 0-9 and '-', beginning with a letter."""
    generate_name: str | None = None
    """Of no effect beside a name."""
    namespace: str | None = None
    """Its namespace; ignored on one machine."""
    labels: Annotated[dict[str, LabelValue], AfterValidator(_check_keys)] = {}
    """Ignored on one machine."""
    annotations: Annotated[dict[str, str], AfterValidator(_check_annotations)] = {}
    """Ignored on one machine."""
    finalizers: list[str] = []
    """The API server's, like everything below."""
    owner_references: list[dict[str, Any]] = []
    """Objects that take the run with them."""
    uid: str | None = None
    """Identity of the object."""
    generation: int | None = None
    """Version of the spec."""
    resource_version: str | None = None
    """Version of the object."""
    creation_timestamp: _Time | None = None
    """When it was made."""
    deletion_timestamp: _Time | None = None
    """When it is to go."""
    deletion_grace_period_seconds: int | None = None
    """Seconds until then."""
    self_link: str | None = None
    """No longer in use."""
    managed_fields: list[dict[str, Any]] = []
    """Who wrote what."""
