"""Judges TrainingRuns: every error of a file in one pass, with line, field, rule, value, and what to write instead.

In goes the text of a file (runs among documents of other kinds) or an object of the API server; out come `Problem`s.
pydantic speaks of shapes, bounds and scalars; the rules of objects are evaluated beside it, so that no error hides
another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from trainwright.api.messages import in_words
from trainwright.api.rules import ApiModel, Json, without_nulls
from trainwright.api.run import KIND, Spec, TrainingRun
from trainwright.api.status import Status
from trainwright.api.walk import dotted, fields, member_at, unknown_fields
from trainwright.api.yaml_loader import Document, Path, read_documents

_USERS: tuple[Path, ...] = (("spec",), ("metadata", "labels"), ("metadata", "annotations"))
_NOTHING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error.

    The line in the file (0 for an object without a file), the field, the rule it breaks, the value as JSON (empty where
    nothing is), what is wrong, and what to do.
    """

    line: int
    field: str
    rule: str
    value: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Write it in one line, to stand behind a file's name and a colon."""
        place = f"{self.line}: " if self.line else ""
        field = f"{self.field}: " if self.field else ""
        text = f"{place}{field}{self.message}{f'; {self.hint}' if self.hint else ''}"
        return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def problems(text: str, *, cluster: bool = False) -> list[Problem]:
    """List all problems of the TrainingRuns in a text, by line; `cluster` judges as the API server does.

    Documents of other kinds beside a run are left alone. A text without a run is judged as if it were meant to be one.
    """
    documents = read_documents(text)
    torn = [document for document in documents if document.value is None]
    runs = [document for document in documents if _is_run(document)]
    judged = runs or documents[:1] or [Document(None, {}, [])]
    found = [problem for document in judged for problem in _problems_of_document(document, cluster=cluster)]
    found += [problem for document in torn if document not in judged for problem in _faults(document)]
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.line, problem.field))


def problems_of_object(value: Json, *, cluster: bool = True) -> list[Problem]:
    """List all problems of a TrainingRun that is no text, such as one from the API server."""
    return [*_shape_problems(value, Document(value, {(): 0}, []), cluster=cluster)]


def problems_of_change(old: Json, new: Json) -> list[Problem]:
    """List what of a change from one `spec` to another is refused."""
    place = Document(new, {(): 0}, [])
    old, new = without_nulls(old), without_nulls(new)
    return [
        _problem(place, ("spec", *rule.field.split(".")), rule.id, rule.message)
        for rule in Spec.update_rules
        if not rule.holds(old, new)
    ]


def _is_run(document: Document) -> bool:
    return isinstance(document.value, dict) and document.value.get("kind") == KIND


def _problems_of_document(document: Document, *, cluster: bool) -> Iterator[Problem]:
    yield from _faults(document)
    if document.value is None and document.faults:
        return
    if not isinstance(document.value, dict):
        yield _problem(document, (), "type", "this is no TrainingRun: it holds no map of fields")
        return
    # The API server drops the status of what is applied, but first refuses names in it that it does not know.
    for path in unknown_fields(Status, document.value.get("status"), ("status",)):
        yield _problem(document, path, "unknown", "unknown field", hint="leave the status out: the operator writes it")
    empty = [problem for path in _USERS for problem in _empty_values(member_at(document.value, path), path, document)]
    said = {problem.field for problem in empty}
    yield from empty
    yield from (
        problem for problem in _shape_problems(document.value, document, cluster=cluster) if problem.field not in said
    )


def _faults(document: Document) -> Iterator[Problem]:
    for fault in document.faults:
        yield Problem(line=fault.line, field=dotted(fault.path), rule="yaml", value="", message=fault.message)


def _empty_values(value: Any, path: Path, document: Document) -> Iterator[Problem]:
    """Find members without a value: kubectl apply takes them as absent, with --server-side it refuses them."""
    if value is None and path in document.lines:
        yield _problem(
            document, path, "empty", "has no value", hint="remove the line, or write {} for a group of defaults"
        )
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from _empty_values(member, (*path, name), document)


def _shape_problems(value: Json, document: Document, *, cluster: bool) -> Iterator[Problem]:
    """Judge what stands there by the models, then by their rules; status is the operator's and not judged."""
    value = {name: member for name, member in without_nulls(value).items() if name != "status"}
    try:
        TrainingRun.model_validate(value, context={"cluster": cluster})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path, rule, message, hint = in_words(detail, value, cluster=cluster)
            yield _problem(document, path, rule, message, hint=hint)
    yield from _broken_rules(TrainingRun, value, (), document, cluster=cluster)


def _broken_rules(
    model: type[ApiModel], value: Any, path: Path, document: Document, *, cluster: bool
) -> Iterator[Problem]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken_rules(model, item, (*path, index), document, cluster=cluster)
    if not isinstance(value, Mapping):
        return
    present = without_nulls(value)
    for rule in model.rules:
        if (cluster or not rule.cluster) and not _holds(rule.holds, present):
            field = tuple(rule.field.split(".")) if rule.field else ()
            yield _problem(document, (*path, *field), rule.id, rule.message)
    for name, inner in fields(model).items():
        if inner is not None and name in present:
            yield from _broken_rules(inner, present[name], (*path, name), document, cluster=cluster)


def _holds(predicate: Any, value: Json) -> bool:
    try:
        return bool(predicate(value))
    except (TypeError, AttributeError, KeyError):
        # A value of a wrong type, or one that is missing, has a problem of its own.
        return True


def _problem(document: Document, path: Path, rule: str, message: str, *, hint: str = "") -> Problem:
    return Problem(
        line=document.line_of(path),
        field=dotted(path),
        rule=rule,
        value=_value_at(document.value, path),
        message=message,
        hint=hint,
    )


def _value_at(value: Any, path: Path) -> str:
    found = member_at(value, path, absent=_NOTHING)
    return "" if found is _NOTHING else json.dumps(found, ensure_ascii=False, default=str)[:200]
