"""What every object of the API is made of: `ApiModel`, a strict pydantic model in camelCase, and `Rule`.

A rule is said once, as CEL for the API server and as a Python predicate over the same JSON, and hangs on the lowest
object it concerns. pydantic checks shapes, bounds and scalars; `trainwright.api.validation` evaluates the rules, so
that one pass over a file finds all its errors, and a resolved spec read back from run.json, which spells out every
default, is not judged as if a user had written it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on one object: `cel` over `self`, `holds` over the same JSON object.

    `field` is the path, relative to the object, of the field that the message is about. `cluster` rules hold only where
    a cluster reads the spec. `reason` is the API server's: FieldValueForbidden prints "Forbidden: MESSAGE".
    """

    id: str
    cel: str
    holds: Callable[[Json], bool]
    message: str
    field: str = ""
    cluster: bool = False
    reason: str = "FieldValueForbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """A condition on a change: `cel` over `oldSelf` and `self`, `holds` over the old and the new JSON object."""

    id: str
    cel: str
    holds: Callable[[Json, Json], bool]
    message: str
    field: str
    reason: str = "FieldValueForbidden"


class ApiModel(BaseModel):
    """Base of all objects of the API: camelCase outside, snake_case inside, frozen, unknown fields refused, null is
    absent."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        serialize_by_alias=True,
        defer_build=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )
    rules: ClassVar[tuple[Rule, ...]] = ()
    update_rules: ClassVar[tuple[UpdateRule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _take_null_as_absent(cls, value: Any) -> Any:
        return without_nulls(value) if isinstance(value, dict) else value


def without_nulls(value: Json) -> dict[str, Any]:
    """Leave out the members that are null: the API server prunes them too."""
    return {key: member for key, member in value.items() if member is not None}


def has(value: Json, *path: str) -> bool:
    """Say whether a field is present, as CEL's `has(self.a) && has(self.a.b)` does."""
    for name in path:
        if not isinstance(value, Mapping) or value.get(name) is None:
            return False
        value = value[name]
    return True


def count(value: Json, *names: str) -> int:
    """Count those of the fields that are present."""
    return sum(has(value, name) for name in names)


def keyed(key: str) -> tuple[Any, Any]:
    """Make the metadata of a list whose items are told apart by `key`: none may stand twice, their order means
    nothing."""

    def check(items: Sequence[Any]) -> Sequence[Any]:
        names = [getattr(item, key) for item in items]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise PydanticCustomError(
                    "rule", "{message}", {"rule": "twice", "message": f"{key} {name} stands twice", "index": index}
                )
        return items

    extra: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return Field(json_schema_extra=extra), AfterValidator(check)
