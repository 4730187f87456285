"""Where each group of stages stands: not begun, at work, failed and why, or done for good. Pure.

In: a world. Out: a `GroupView` per group, in the order of the groups. What `decide.py` does and what `status.py` says
both start from these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from trainwright_operator import judge
from trainwright_operator.groups import JobGroup, groups_of
from trainwright_operator.judge import Ruling, Wait
from trainwright_operator.observed import ObservedJob, ObservedPod, time_of
from trainwright_operator.world import World

PODS_LAG_S = 30.0
"""How long a finished Job's pods may be seen later than the Job itself."""
DONE = ("Succeeded", "Reused")
OUT_OF_MEMORY = frozenset({"OutOfMemory", "GpuOutOfMemory"})
FIRST_DELAY_S, LONGEST_DELAY_S = 10.0, 300.0
OUR_VERDICTS = ("RankStalled", "GangStalled")
"""What the operator itself finds out and records before it ends the pods."""

Phase = Literal["waiting", "due", "starting", "running", "stopping", "succeeded", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """Where a group of stages stands."""

    group: JobGroup
    phase: Phase
    attempt: int
    """Number of the newest attempt; 0: none yet."""
    job: ObservedJob | None = None
    """The newest attempt, while its Job is there."""
    pods: Sequence[ObservedPod] = ()
    rulings: Mapping[int, Ruling] = field(default_factory=dict)
    """Why attempts failed."""
    wait: Wait | None = None
    not_before: datetime | None = None

    @property
    def charged(self) -> int:
        """Failures that count against backoffLimit."""
        return sum(ruling.charge == "user" for ruling in self.rulings.values())

    @property
    def last_ruling(self) -> Ruling | None:
        """Why the newest attempt failed, if it did."""
        return self.rulings.get(self.attempt)

    @property
    def halvings(self) -> int:
        """How often the micro-batch is to be halved: once after the first out-of-memory."""
        return min(1, sum(ruling.reason in OUT_OF_MEMORY for ruling in self.rulings.values()))


def view(world: World) -> tuple[GroupView, ...]:
    """Say where each group stands, in the order of the groups."""
    assert world.spec is not None
    views: dict[str, GroupView] = {}
    for group in groups_of(world.spec):
        ready = all(views[need].phase == "succeeded" for need in group.needs)
        views[group.name] = _view(world, group, ready=ready)
    return tuple(views.values())


def _view(world: World, group: JobGroup, *, ready: bool) -> GroupView:
    recorded = [world.run.status.get("stages", {}).get(stage) or {} for stage in group.stages]
    attempt = max((entry.get("attempt") or 0 for entry in recorded), default=0)
    jobs = [job for job in world.jobs_of(group.name) if job.run_uid == world.run.uid]
    last = jobs[-1] if jobs else None
    attempt = max(attempt, last.attempt if last else 0)
    pods = _pods(world, last)
    if all(name in _done(world, pods) for name in group.stages):
        return GroupView(group=group, phase="succeeded", attempt=attempt, job=last, pods=pods)
    rulings: Mapping[int, Ruling] = {
        job.attempt: _rule(world, job) for job in jobs if job.failed_reason is not None and _settled(world, job)
    }
    if last is None or (last.attempt < attempt):
        return _without_job(world, group, attempt, recorded, rulings, ready=ready)
    phase, rulings = _phase(world, last, pods, rulings, ready=ready)
    delay = _delay_s(rulings, last.attempt)
    return GroupView(
        group=group,
        phase=phase,
        attempt=attempt,
        job=last,
        pods=pods,
        rulings=rulings,
        wait=_wait(world, last, pods) if phase == "starting" else None,
        not_before=(last.ended or last.created) + timedelta(seconds=delay) if phase in ("failed", "due") else None,
    )


def _done(world: World, pods: Sequence[ObservedPod]) -> set[str]:
    """Stages that are finished for good: recorded as such, or told so by the pod that published the result."""
    recorded = world.run.status.get("stages") or {}
    done = {name for name, entry in recorded.items() if entry.get("state") in DONE}
    reports = [pod.report for pod in pods if pod.report is not None]
    return done | {name for report in reports for name, entry in report.stages.items() if entry.state in DONE}


def _wait(world: World, job: ObservedJob, pods: Sequence[ObservedPod]) -> Wait | None:
    return judge.wait(job, pods, world.refusals.get(job.name), world.unbound, world.now)


def _without_job(
    world: World,
    group: JobGroup,
    attempt: int,
    recorded: Sequence[Mapping[str, object]],
    rulings: Mapping[int, Ruling],
    *,
    ready: bool,
) -> GroupView:
    """No Job of the newest attempt: it has not begun, or was stopped, released or deleted by somebody."""
    left = tuple(pod for pod in world.pods if pod.group == group.name and not pod.is_over)
    phase: Phase = "stopping" if left else "due" if ready else "waiting"
    stopped = max((str(entry.get("completionTime") or "") for entry in recorded), default="")
    released = any(entry.get("state") == "Queued" for entry in recorded) and time_of(stopped)
    return GroupView(
        group=group,
        phase=phase,
        attempt=attempt,
        pods=left,
        rulings=rulings,
        not_before=released + timedelta(seconds=_jitter_s(world.run.uid, attempt)) if released else None,
    )


def _phase(
    world: World, job: ObservedJob, pods: Sequence[ObservedPod], rulings: Mapping[int, Ruling], *, ready: bool
) -> tuple[Phase, Mapping[int, Ruling]]:
    if job.deleting:
        return "stopping", rulings
    if job.complete:
        if pods:
            return ("succeeded" if all(pod.is_over for pod in pods) else "running"), rulings
        if seconds_since(world, job.ended) < PODS_LAG_S:
            return "running", rulings
        lost = judge.Ruling(
            reason="NodeLost",
            message=f"what {job.name} did is not known: its pods are gone",
            hint="",
            charge="infrastructure",
        )
        return "failed" if ready else "waiting", {**rulings, job.attempt: lost}
    if job.failed_reason is not None:
        return ("failed" if _settled(world, job) else "stopping"), rulings
    started = [pod for pod in pods if pod.phase == "Running" or pod.is_over]
    return ("running" if started and len(started) == len(pods) else "starting"), rulings


def _settled(world: World, job: ObservedJob) -> bool:
    """Whether nothing of a failed attempt runs any more: only then may another begin."""
    return job.active == 0 and job.terminating == 0 and all(pod.is_over for pod in world.pods_of(job))


def _rule(world: World, job: ObservedJob) -> Ruling:
    """Why an attempt failed; what the operator itself recorded before it ended the pods holds."""
    failure = world.run.status.get("failure") or {}
    own = failure.get("reason") in OUR_VERDICTS and failure.get("attempt") == job.attempt
    if own and _group_of(world, failure.get("stage")) == job.group:
        return judge.ruling(failure["reason"], failure["message"], rank=failure.get("rank"), stage="train")
    return judge.rule(job, world.pods_of(job))


def _group_of(world: World, stage: str | None) -> str | None:
    assert world.spec is not None
    return next((group.name for group in groups_of(world.spec) if stage in group.stages), None)


def _pods(world: World, job: ObservedJob | None) -> Sequence[ObservedPod]:
    return world.pods_of(job) if job else ()


def _delay_s(rulings: Mapping[int, Ruling], attempt: int) -> float:
    """Pause before the next attempt: none after the first failure, then doubling."""
    failures = len([number for number in rulings if number <= attempt])
    ruling = rulings.get(attempt)
    if ruling is None or failures == 0:
        return 0.0
    if failures == 1:
        return 0.0
    return float(min(FIRST_DELAY_S * 2 ** (failures - 2), LONGEST_DELAY_S))


def _jitter_s(uid: str, attempt: int) -> float:
    """30 to 90 s, different for each run and attempt, so that two gangs that block each other part."""
    return 30.0 + hashlib.sha256(f"{uid}/{attempt}".encode()).digest()[0] / 255 * 60


def seconds_since(world: World, moment: datetime | None) -> float:
    """Seconds from a moment to now; 0 if there is none."""
    return (world.now - moment).total_seconds() if moment else 0.0
