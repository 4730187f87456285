"""TrainingRuns with mistakes: fields that are deleted, retyped, renamed, out of bounds, swapped, added or doubled.

A run and a seeded source of chance go in; a damaged copy comes out. What a value could be is read from the CRD.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

from trainwright.api.schema import crd

from testcluster.api import Object

Place = tuple[Any, str | int]
SCHEMA: Object = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
RETYPED: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    "",
    "a",
    "true",
    "3",
    [],
    ["a"],
    [None],
    [{}],
    {},
    {"a": 1},
    {"name": "a"},
)
NUMBERS = (0, 1, -1, 0.5, 1.0, 1e-9, -0.0, 1e30, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63))
TEXTS = (
    *(
        "",
        " ",
        "a",
        "A",
        "a-",
        "-a",
        "a.b",
        "a..b",
        "a/b",
        "a b",
        "a\n",
        "\u00a0",
        "é",
        "漢",
        "🙂",
        "\x00",
        "\x7f",
        "\v",
    ),
    *(
        "s3://b/k",
        "s3://b/k\n",
        "s3://b/\u00a0",
        "s3://b/\u2003",
        "s3://",
        "./a",
        ".a",
        "file:///a",
        "file:/a",
        "pvc://a",
    ),
    *(
        "hf://a/b@c",
        "https://h",
        "pkg://a/b",
        "1h",
        "1h30m",
        "30m1h",
        "90s",
        "0777",
        "8Gi",
        "1.5Ti",
        "1e3",
        "500m",
        "5M ",
    ),
    *(
        "en",
        "deu",
        "EN",
        "example.com/a",
        "Example.com/a",
        "nvidia.com/gpu",
        "PET_X",
        "HF_TOKEN",
        "A_b",
        "Chat",
        "T" * 64,
    ),
)
TYPOS = (str.lower, str.upper, str.title, lambda name: f"{name}s", lambda name: name[1:], lambda name: f"{name}_x")


def mutant(run: Object, others: list[Object], chance: random.Random) -> Object:
    """Damage a copy of a run at one to three places, now and then with a part of another run."""
    damaged = copy.deepcopy(run)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.choice([*places(damaged["spec"]), (damaged, "spec")])
        chance.choice(MUTATIONS)(damaged, place, others, chance)
        if not isinstance(damaged.get("spec"), dict):
            break
    return damaged


def places(value: Any) -> Iterator[Place]:
    """Every member and item of a JSON value, as the container and the key."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def _delete(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    container, key = place
    del container[key]


def _retype(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    container, key = place
    container[key] = copy.deepcopy(chance.choice(RETYPED))


def _rename(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    container, key = place
    if isinstance(container, dict):
        container[chance.choice(TYPOS)(str(key))] = container.pop(key)


def _reach_bounds(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    container, key = place
    schema = _schema_at(run["spec"], container, key)
    container[key] = chance.choice([*_edges(schema, container[key]), chance.choice(NUMBERS), chance.choice(TEXTS)])


def _swap(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    container, key = place
    source = chance.choice([run, *others])
    other, other_key = chance.choice(list(places(source["spec"])))
    container[key] = copy.deepcopy(other[other_key])


def _take_over(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    """Take a whole group of another run."""
    name, group = chance.choice(list(chance.choice(others)["spec"].items()))
    run["spec"][name] = copy.deepcopy(group)


def _add(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    """Add a field that the CRD knows, most often with a value that it allows."""
    container, key = place
    value = container[key] if isinstance(container[key], dict) else run["spec"]
    schema = SCHEMA if value is run["spec"] else _schema_at(run["spec"], container, key)
    if isinstance(value, dict) and (known := schema.get("properties")):
        name = chance.choice(list(known))
        value[name] = _sample(known[name], chance)
    elif isinstance(value, dict) and "additionalProperties" in schema:
        value[chance.choice(TEXTS)] = _sample(schema["additionalProperties"], chance)


def _double(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    container, key = place
    if isinstance(container, list):
        container.extend(copy.deepcopy([container[key]] * chance.choice((1, 1, 1, 64))))


def _mark(run: Object, place: Place, others: list[Object], chance: random.Random) -> None:
    """Write into the metadata."""
    name = chance.choice(("name", "labels", "annotations", chance.choice(TEXTS)))
    text = chance.choice(TEXTS)
    run["metadata"][name] = {text: chance.choice(TEXTS)} if name in ("labels", "annotations") else text


MUTATIONS: tuple[Callable[[Object, Place, list[Object], random.Random], None], ...] = (
    *(_delete, _retype, _rename, _reach_bounds, _reach_bounds, _swap, _take_over, _add, _add, _add, _double, _mark),
)


def _schema_at(spec: Object, container: Any, key: str | int) -> Object:
    """Find what the CRD says of the member of a container; empty where it knows nothing."""
    waiting: list[tuple[Any, Object]] = [(spec, SCHEMA)]
    while waiting:
        value, schema = waiting.pop()
        if value is container:
            return _inside(schema, key)
        keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        waiting += [(value[name], _inside(schema, name)) for name in keys]
    return {}


def _inside(schema: Object, key: str | int) -> Object:
    if isinstance(key, int):
        found = schema.get("items", {})
    else:
        found = schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}
    return found if isinstance(found, dict) else {}


def _edges(schema: Object, value: Any) -> list[Any]:
    """Values at the bounds of a schema, and one step beyond."""
    edges: list[Any] = [bound + step for bound in _limits(schema) for step in (-1, 0, 1, 0.5)]
    if isinstance(value, str) and "maxLength" in schema:
        most = schema["maxLength"]
        edges += [value.ljust(length, filler) for length in (most, most + 1) for filler in "aé"]
        edges += [value[: schema.get("minLength", 0)], value[: schema.get("minLength", 1) - 1]]
    return edges


def _limits(schema: Object) -> list[float]:
    return [schema[bound] for bound in ("minimum", "maximum") if bound in schema]


def _sample(schema: Object, chance: random.Random) -> Any:
    """Make a value that a schema may allow; CEL rules may not."""
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type", "string")
    if kind == "object":
        known = schema.get("properties", {})
        wanted = {*schema.get("required", ()), *(name for name in known if chance.random() < 0.2)}
        return {name: _sample(known[name], chance) for name in known if name in wanted}
    if kind == "array":
        return [_sample(schema["items"], chance) for _ in range(schema.get("minItems", chance.randint(0, 2)))]
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in ("integer", "number"):
        return chance.choice([*_limits(schema), 1, 2, *([0.5, 0.25] if kind == "number" else [])])
    return chance.choice(TEXTS)
