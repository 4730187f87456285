"""Puts pydantic's errors into words: which field, which rule, what is wrong with the value, what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from trainwright.api.foreign_names import HERE
from trainwright.api.rules import ApiModel, Json
from trainwright.api.run import Spec, TrainingRun
from trainwright.api.walk import fields, leads_on, model_at, paths_to
from trainwright.api.yaml_loader import Path

# How pydantic ends the location of an error about a map's key.
_KEY = "[key]"
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9_.-]+(@[A-Za-z0-9_./-]+)?"
_FILE = r"\.(jsonl?|csv|txt|parquet|ya?ml|gz|zst|gguf|safetensors)$"
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map of fields",
    "model_attributes_type": "a map of fields",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_LENGTHS = {
    "string_too_short": ("at least", "min_length", "characters long"),
    "string_too_long": ("at most", "max_length", "characters long"),
    "too_short": ("at least", "min_length", "entries long"),
    "too_long": ("at most", "max_length", "entries long"),
}


def in_words(error: Mapping[str, Any], value: Json, *, cluster: bool) -> tuple[Path, str, str, str]:
    """Turn one error of pydantic about a TrainingRun into (path, rule, message, hint)."""
    path = _path(error["loc"], value, ends_outside=error["type"] == "missing")
    if error["loc"][-1:] == (_KEY,) and path[-1:] != (_KEY,):
        rule, message, hint = _words(error, path, cluster=cluster)
        told = message if error["type"] == "rule" else f"the key {_shown(path[-1])} {message}"
        return path[:-1], rule, told, hint
    if "index" in (error.get("ctx") or {}):
        path = (*path, error["ctx"]["index"])
    return path, *_words(error, path, cluster=cluster)


def _words(error: Mapping[str, Any], path: Path, *, cluster: bool) -> tuple[str, str, str]:
    kind, context, given = error["type"], error.get("ctx") or {}, error.get("input")
    if kind == "rule":
        rule = context["rule"]
        quoted = f"'{given}'" if isinstance(given, str) else _shown(given)
        shown = "" if isinstance(given, dict | list) else f"{quoted} "
        return rule, f"{shown}{context['message']}", _meant_uri(given, rule, path, cluster=cluster)
    if kind == "extra_forbidden":
        return "unknown", "unknown field", _where_it_belongs(path)
    if kind == "missing":
        return "required", "required, and absent", ""
    if kind == "literal_error":
        return "enum", *_one_of(context["expected"], given)
    if kind in _TYPES:
        return "type", f"must be {_TYPES[kind]}, is {_shown(given)}", ""
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return "bounds", f"must be {words} {_number(context[bound])}, is {_shown(given)}", ""
    if kind in _LENGTHS:
        words, bound, unit = _LENGTHS[kind]
        if context[bound] == 1 and words == "at least":
            return "length", "must not be empty", ""
        length = len(given) if isinstance(given, str | list | dict) else context["actual_length"]
        return "length", f"must be {words} {_number(context[bound])} {unit}, is {_number(length)}", ""
    return kind, f"{error['msg'].replace('Input should be', 'must be')}, is {_shown(given)}", ""


def _path(location: tuple[Any, ...], value: Any, *, ends_outside: bool) -> Path:
    """Keep those parts of pydantic's location that lead through the value; its own names of unions and keys do not."""
    path: list[str | int] = []
    inside, outside = (location[:-1], location[-1:]) if ends_outside else (location, ())
    for part in inside:
        if leads_on(value, part):
            path.append(part)
            value = value[part]
    return (*path, *outside)


def _meant_uri(given: Any, rule: str, path: Path, *, cluster: bool) -> str:
    """Guess the URI that was meant by a bare path, or by a bare name of a repository."""
    if rule not in ("uri", "output-uri") or not isinstance(given, str) or "://" in given or re.search(r"\s", given):
        return ""
    guesses = []
    if rule == "uri" and re.fullmatch(_REPOSITORY, given) and not re.search(_FILE, given):
        guesses.append(f"hf://{'datasets/' if 'sources' in path else ''}{given}")
    if not cluster:
        guesses.append(f"{'file://' if given.startswith('/') else './'}{given}")
    return f"did you mean {' or '.join(guesses)}?" if guesses else ""


def _where_it_belongs(path: Path) -> str:
    """Say what an unknown field may have meant, the surest guess first."""
    name = str(path[-1])
    model = model_at(TrainingRun, path[:-1])
    known = list(fields(model)) if model is not None else []
    plain = {_plain(field): field for field in known}
    if _plain(name) in plain:
        return f"did you mean {plain[_plain(name)]}?"
    if elsewhere := _elsewhere(name):
        return f"it belongs to {' or '.join(elsewhere)}"
    if name in HERE:
        return f"here it is {_tell(HERE[name])}"
    if near := difflib.get_close_matches(name, known, 1, 0.6):
        return f"did you mean {near[0]}?"
    return f"known here: {', '.join(known)}"


def _elsewhere(name: str) -> list[str]:
    """Name up to three places where the field is known, whatever its case and underscores."""
    spellings = {_plain(field): field for field in _all_names()}
    known = spellings.get(_plain(name))
    places = sorted(paths_to(Spec, known), key=lambda place: place.count(".")) if known else []
    if name in fields(TrainingRun) or known in ("name", "value", "key", "keep", "enabled", "uri", "from"):
        return []
    return places[:3]


def _all_names() -> set[str]:
    names: set[str] = set()
    waiting: list[type[ApiModel]] = [Spec]
    while waiting:
        known = fields(waiting.pop())
        names |= known.keys()
        waiting += [inner for inner in known.values() if inner is not None]
    return names


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _tell(place: str) -> str:
    return place if place.startswith(("nowhere", "uri")) else f"spec.{place}"


def _one_of(expected: str, given: Any) -> tuple[str, str]:
    """Word an error of a field that takes one of few values, and guess which was meant."""
    values = re.findall(r"'([^']+)'", expected)
    listed = values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
    near = [value for value in values if _plain(value) == _plain(str(given))]
    near = near or difflib.get_close_matches(str(given), values, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near and len(values) > 1 else ""
    if isinstance(given, bool):
        hint = 'YAML reads this word as a boolean: quote it, as in "yes"'
    return f"must be {listed}, is {_shown(given)}", hint


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or not float(value).is_integer() else f"{int(value):,}"
