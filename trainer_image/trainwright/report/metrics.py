"""metrics.json: the run's figures for programs, parted so that two runs can be compared.

`figures` is equal for equal inputs, however often the run was stopped; everything that depends on the clock, the
machine or the place stands under `times`, `places`, `plan` and `lineage` instead, at the same path as in its stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from trainwright.report.outputs import Outputs

CLOCK = re.compile(r"(seconds?|persecond|duration|elapsed|started|finished|times?|attempts?|_s)$", re.IGNORECASE)
PLACE = re.compile(r"(uri|path|folder|workdir|worldsize|processes|workers|threads)$", re.IGNORECASE)
VERSIONS = re.compile(r"versions?$", re.IGNORECASE)
APART = ("stage", "key", "counts", "metrics", "message")


def metrics_of(outputs: Outputs) -> dict[str, Any]:
    """The content of metrics.json."""
    stages = {name: {"counts": dict(a.counts), "metrics": dict(a.metrics)} for name, a in outputs.stages.items()}
    facts = {name: {k: v for k, v in a.done.items() if k not in APART} for name, a in outputs.stages.items()}
    return {
        "name": outputs.config.name,
        "goal": outputs.config.spec.goal,
        "sample": outputs.config.sample,
        "result": outputs.metric("evaluate", "result"),
        "best": outputs.metric("evaluate", "best") or outputs.metric("train", "best"),
        "gates": outputs.metric("evaluate", "gates") or [],
        "stages": _only(stages, lambda name: not CLOCK.search(name) and not PLACE.search(name)),
        "times": _leaves(stages, CLOCK.search) | {"facts": _leaves(facts, CLOCK.search)},
        "places": {"workdir": str(outputs.config.workdir), "stages": _leaves(stages, PLACE.search)},
        "lineage": {"keys": {n: a.key for n, a in outputs.stages.items()}, "versions": _leaves(facts, VERSIONS.search)},
        "plan": dict(outputs.plan),
    }


def _only(value: Any, wanted: Callable[[str], Any]) -> Any:
    """`value` without the members whose names are not wanted, at any depth."""
    if isinstance(value, Mapping):
        return {name: _only(item, wanted) for name, item in value.items() if wanted(str(name))}
    return [_only(item, wanted) for item in value] if isinstance(value, list | tuple) else value


def _leaves(value: Any, wanted: Callable[[str], Any]) -> dict[str, Any]:
    """The members of `value` whose names are wanted, with the path that leads to them and nothing else."""
    found: dict[str, Any] = {}
    for name, item in value.items() if isinstance(value, Mapping) else ():
        if wanted(str(name)):
            found[str(name)] = item
        elif inner := _leaves(item, wanted):
            found[str(name)] = inner
    return found
