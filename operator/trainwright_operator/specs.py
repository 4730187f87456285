"""Specs as models, read once per generation of a run; a spec that the models refuse comes as its problems."""

from __future__ import annotations

from collections import OrderedDict

from trainwright.api import Spec, problems_of_object, unbuilt
from trainwright.contract import STAGES

from trainwright_operator import names
from trainwright_operator.observed import ObservedRun

Read = tuple[Spec | None, tuple[str, ...]]
KEPT = 64
"""Specs in memory, those used last: a model takes 15 KB, and a thousand runs are mostly at rest."""


class Specs:
    """Remembers what it has read last."""

    def __init__(self) -> None:
        self._read: OrderedDict[tuple[str, int], Read] = OrderedDict()

    def of(self, run: ObservedRun) -> Read:
        """The spec of a run, or why there is none."""
        key = (run.uid, run.generation)
        if key not in self._read:
            self._read[key] = _read(run)
            if len(self._read) > KEPT:
                self._read.popitem(last=False)
        self._read.move_to_end(key)
        return self._read[key]


def _read(run: ObservedRun) -> Read:
    body = {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": names.KIND,
        "metadata": {"name": run.name, "namespace": run.namespace},
        "spec": run.spec,
    }
    problems = [str(problem) for problem in problems_of_object(body)]
    if problems:
        return None, tuple(problems)
    spec = Spec.model_validate(run.spec)
    missing = [*unbuilt(spec), *_unbuilt_in_pods(spec)]
    return (None, tuple(f"not built yet: {field}" for field in missing)) if missing else (spec, ())


def _unbuilt_in_pods(spec: Spec) -> list[str]:
    """Fields under `cluster` that nothing acts on yet: a run that relies on one is refused, not let down."""
    fields = ["cluster.stallTimeout"] if spec.cluster.stall_timeout is not None else []
    for stage in STAGES:
        if (getattr(spec.cluster.stages, stage.name).shards or 1) > 1:
            fields.append(f"cluster.stages.{stage.name}.shards")
    return [*fields, *(["cluster.workspace.uri"] if spec.cluster.workspace.uri is not None else [])]
