"""All that a decision about one run may know, and what it may want. Plain values, no clock, no API server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trainwright.api import Spec
from trainwright.contract import PodProgress

from trainwright_operator.groups import JobGroup
from trainwright_operator.observed import ObservedJob, ObservedPod, ObservedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a pod said last while it worked, and when it was heard."""

    progress: PodProgress
    heard: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One run as it is seen now."""

    run: ObservedRun
    spec: Spec | None
    """None: `problems` says why."""
    problems: tuple[str, ...] = ()
    jobs: Sequence[ObservedJob] = ()
    pods: Sequence[ObservedPod] = ()
    told: Mapping[str, Told] = field(default_factory=dict)
    """By pod name."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """By Job name: why the API server refuses its pods."""
    unbound: str | None = None
    """Why the workspace's claim is not bound, while a pod waits for it."""
    now: datetime

    def jobs_of(self, group: str) -> list[ObservedJob]:
        """The attempts of a group, oldest first."""
        return sorted((job for job in self.jobs if job.group == group), key=lambda job: job.attempt)

    def pods_of(self, job: ObservedJob) -> list[ObservedPod]:
        """The pods of one attempt, by index."""
        own = (pod for pod in self.pods if pod.group == job.group and pod.attempt == job.attempt)
        return sorted(own, key=lambda pod: (pod.index, pod.created))


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Create the Job of an attempt, and what it needs before."""

    group: JobGroup
    attempt: int
    halvings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Delete a Job; its pods get their grace."""

    job: ObservedJob


@dataclass(frozen=True, slots=True, kw_only=True)
class EndPods:
    """Delete pods so that their Job fails; `force`: their node is gone, do not wait for it."""

    pods: tuple[ObservedPod, ...]
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietStore:
    """Scale the vector store to zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRun:
    """Delete the TrainingRun: its time to live is over."""


Action = Start | Stop | EndPods | QuietStore | DeleteRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, what to say, and when to look again if nothing happens."""

    actions: tuple[Action, ...]
    status: Mapping[str, Any]
    look_again_s: float | None = None
