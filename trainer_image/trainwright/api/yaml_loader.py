"""YAML read as kubectl reads it, with a line for every value.

kubectl turns YAML 1.1 into JSON: y, no and on are booleans, 0777 is 511, 1e3 is a number, dates are text, keys are
text. No Python library does, so the parser's events are resolved here. A text goes in; documents come out, each with
its value, the line of every path in it, and what is wrong with it as YAML. Nothing is raised: no YAML is a fault, too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

MAX_DEPTH = 64
"""Deeper nesting is refused: no TrainingRun needs a quarter of it."""
MAX_VALUES = 100_000
"""More values, aliases counted as often as they are used, are refused."""

_TRUE = frozenset(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"))
_FALSE = frozenset(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_BASED = re.compile(r"([-+]?)0([bBxXoO]?)([0-9a-fA-F_]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")
_TAGS = "tag:yaml.org,2002:"
_BASES = {"b": 2, "x": 16, "o": 8, "": 8}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the text as YAML: the line (from 1, 0 if unknown), the path of the value, a sentence."""

    line: int
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value as JSON, the line of each path, and its faults."""

    value: Any
    lines: dict[Path, int]
    faults: list[Fault]

    def line_of(self, path: Path) -> int:
        """Find the line of a value or, where the path leads beyond what is written, of the nearest thing around it."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 1)


class _Broken(Exception):
    """The text cannot be read on."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(line, (), message)


def read_documents(text: str) -> list[Document]:
    """Read all documents of a text. Where it is no YAML, the last document holds None and says why."""
    documents: list[Document] = []
    reader = _Reader(_join_surrogates(text) if text.lstrip().startswith("{") else text)
    try:
        documents.extend(reader.documents())
    except _Broken as broken:
        return [*documents, Document(None, {}, [broken.fault])]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", "")
        line = mark.line + 1 if mark else 1
        return [*documents, Document(None, {}, [Fault(line, (), f"this is no YAML: {problem}")])]
    return documents


def _join_surrogates(text: str) -> str:
    """JSON writes what lies beyond 16 bits as two escapes, each of which is no character in YAML."""
    return _SURROGATES.sub(lambda pair: pair[1] + json.loads(f'"{pair[2]}"'), text)


@dataclass
class _Node:
    """A value just read, the number of values in it, and the places below it (for aliases of it)."""

    value: Any
    size: int = 1
    lines: dict[Path, int] = field(default_factory=dict)


class _Reader:
    """Builds values from the parser's events; one object reads one text."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        self._anchors: dict[str, _Node | None] = {}
        self._lines: dict[Path, int] = {}
        self._faults: list[Fault] = []
        self._size = 0

    def documents(self) -> Iterator[Document]:
        """Give the documents that are not empty, one by one."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._lines, self._faults, self._size = {}, {}, [], 0
                first = next(self._events)
                value = self._node(first, (), flow=False).value
                if value is not None or self._faults:
                    yield Document(value, self._lines, self._faults)

    def _node(self, event: Any, path: Path, *, flow: bool) -> _Node:
        """Build the value that begins with an event."""
        line = event.start_mark.line + 1
        self._lines.setdefault(path, line)
        if len(path) > MAX_DEPTH:
            raise _Broken(line, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line)
        anchor: str | None = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(self._scalar(event, path, line, flow=flow))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(path, flow=flow or bool(event.flow_style))
        else:
            node = self._mapping(path, flow=flow or bool(event.flow_style))
        self._count(1, line)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _count(self, size: int, line: int) -> None:
        self._size += size
        if self._size > MAX_VALUES:
            raise _Broken(line, f"more than {MAX_VALUES:,} values")

    def _alias(self, event: Any, line: int) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            known = event.anchor in self._anchors
            raise _Broken(line, f"*{event.anchor} {'contains itself' if known else 'is an alias of nothing above it'}")
        self._count(node.size, line)
        return node

    def _sequence(self, path: Path, *, flow: bool) -> _Node:
        items: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), flow=flow))
        return _Node([item.value for item in items], 1 + sum(item.size for item in items))

    def _mapping(self, path: Path, *, flow: bool) -> _Node:
        members: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        size = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            key, is_merge = self._key(event, path, line)
            if key in members:
                first = self._lines[(*path, key)]
                self._faults.append(Fault(line, (*path, key), f"stands twice, first in line {first}"))
            else:
                self._lines[(*path, key)] = line
            node = self._node(next(self._events), (*path, key), flow=flow)
            size += node.size
            if is_merge:
                self._merge(node.value, merged, line)
            else:
                members.setdefault(key, node.value)
        return _Node({**merged, **members}, size)

    def _merge(self, value: Any, merged: dict[str, Any], line: int) -> None:
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise _Broken(line, "<< merges maps, and only maps")
            for key, member in part.items():
                merged.setdefault(key, member)

    def _key(self, event: Any, path: Path, line: int) -> tuple[str, bool]:
        """Make a key as kubectl does: y is "true", 0777 is "511", 1.0 is "1"."""
        if not isinstance(event, yaml.ScalarEvent):
            raise _Broken(line, "a key must be text")
        if event.value == "<<" and not event.style:
            return "<<", True
        key = self._scalar(event, path, line, flow=False)
        if key is None:
            raise _Broken(line, f"{event.value or 'nothing'} is no key: quote it")
        return ("true" if key else "false") if isinstance(key, bool) else str(key), False

    def _scalar(self, event: Any, path: Path, line: int, *, flow: bool) -> Any:
        tag = (event.tag or "").removeprefix(_TAGS) if not any(event.implicit) else ""
        if tag == "str" or (not tag and event.style):
            return event.value
        if tag not in ("", "int", "float", "bool", "null"):
            raise _Broken(line, f"kubectl's YAML does not know the tag {event.tag}")
        if flow and not event.style and "?" in event.value:
            self._faults.append(
                Fault(line, path, f"kubectl cannot read an unquoted ? inside {{ }} or [ ]: quote {event.value!r}")
            )
        if _NO_NUMBER.fullmatch(event.value):
            self._faults.append(Fault(line, path, f"{event.value} is no number that JSON can carry"))
        return resolve_plain(event.value)


def resolve_plain(text: str) -> Any:
    """Read an unquoted word: null, a boolean, a whole number, a number, else text."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        return _whole(digits)
    if (based := _BASED.fullmatch(text)) and (number := _based(based)) is not None:
        return number
    if _FLOAT.fullmatch(text):
        return _float(digits, text)
    return text


def _whole(digits: str) -> int | float:
    # Longer ones are no 64-bit numbers; the cut keeps Python from refusing thousands of digits.
    number = int(digits) if len(digits) <= 20 else None
    return number if number is not None and -(2**63) <= number < 2**64 else float(digits)


def _based(match: re.Match[str]) -> int | None:
    sign, base, digits = match.groups()
    try:
        number = int(sign + digits.replace("_", ""), _BASES[base.lower()])
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**64 else None


def _float(digits: str, text: str) -> int | float | str:
    number = float(digits)
    if math.isinf(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
