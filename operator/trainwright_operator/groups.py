"""Which stages share a pod: the graph of stages cut into the Jobs of a run.

Stages that follow each other and need the same resources share one pod, so that a small run does not
pay a pod's start per stage. index works beside train, and the gang is a Job of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainwright import contract
from trainwright.api import Spec
from trainwright.contract import Stage

ALONE = frozenset({"index", "train"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobGroup:
    """Stages that run one after the other in one pod (the gang: in `cluster.nodes` pods)."""

    name: str
    stages: tuple[str, ...]
    needs: tuple[str, ...]
    """Names of the groups that must have succeeded before."""

    @property
    def is_gang(self) -> bool:
        """Whether it is the training."""
        return self.stages == ("train",)


def groups_of(spec: Spec) -> tuple[JobGroup, ...]:
    """The Jobs of a run, in an order in which they can run."""
    lines = list(_lines(spec))
    group_of = {stage.name: _name(line) for line in lines for stage in line}
    groups = []
    for line in lines:
        own = _name(line)
        needs = {group_of[need] for stage in line for need in stage.needs if need in group_of} - {own}
        groups.append(JobGroup(name=own, stages=tuple(stage.name for stage in line), needs=tuple(sorted(needs))))
    return tuple(groups)


def _lines(spec: Spec) -> Iterator[list[Stage]]:
    """Cut the stages, in their order, into lines that share a pod."""
    line: list[Stage] = []
    for stage in contract.stages_of(spec):
        apart = bool(line) and (stage.name in ALONE or line[-1].name in ALONE)
        if line and (apart or _needs_of(spec, stage) != _needs_of(spec, line[-1])):
            yield line
            line = []
        line.append(stage)
    yield line


def _needs_of(spec: Spec, stage: Stage) -> tuple[Any, ...]:
    """What the stage asks of its pod; the same answer means that a pod can be shared."""
    settings = getattr(spec.cluster.stages, stage.name)
    return (
        settings.gpus or 0,
        settings.shards or 1,
        settings.resources,
        settings.node_selector,
        settings.tolerations,
    )


def _name(line: list[Stage]) -> str:
    names = [stage.name for stage in line]
    if len(names) == 1:
        return names[0]
    first, last = names[0] in ("weights", "ingest"), names[-1] == "report"
    return "run" if first and last else "data" if first else "finish" if last else "-".join(names)
