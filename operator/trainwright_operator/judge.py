"""Why an attempt failed, and why one waits: what Kubernetes and the pods say, as one reason of `contract.REASONS`.

Pure. In: a Job and its pods. Out: a `Ruling` for an attempt that failed, or a `Wait` for one that does not work yet.
Of a gang the cause is told, not what followed from it: a rank that lost its peer is the last to be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trainwright import contract
from trainwright.contract import Verdict
from trainwright.errors import EXIT_BAD_INPUT, EXIT_STOPPED

from trainwright_operator.observed import ObservedJob, ObservedPod

Charge = Literal["user", "infrastructure", "final"]
FOLLOWED = frozenset({"RankCrashed", "Stopped", "RetryLater"})
"""Reasons that may only follow from what happened to another pod of the gang."""
WORDY = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
NOT_WORTH_SAYING = frozenset({"ContainerCreating", "PodInitializing"})
UNBOUND_AFTER_S = 60.0
"""A claim that is not bound so long after a pod wanted it is reported as WorkspaceUnbound."""
OWN_LIMIT = re.compile(r"ephemeral local storage usage exceeds|EmptyDir volume .* exceeds", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """Why an attempt failed and who is charged with it."""

    reason: str
    message: str
    hint: str
    charge: Charge
    stage: str | None = None
    rank: int | None = None
    node: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why an attempt does not work yet."""

    reason: str
    message: str


def rule(job: ObservedJob, pods: Sequence[ObservedPod]) -> Ruling:
    """Say why a failed Job failed."""
    found = [ruling for pod in pods for ruling in _of_pod(pod)]
    if not found:
        return ruling("NodeLost", f"the pods of {job.name} are gone and left no word: {job.failed_message}")
    return min(found, key=_weight)


def _of_pod(pod: ObservedPod) -> Iterable[Ruling]:
    verdict = pod.report.failure if pod.report else None
    if verdict is not None:
        yield _of_verdict(verdict, pod)
    if pod.disrupted is not None:
        lost = pod.disrupted == "DeletionByTaintManager" or pod.reason == "NodeLost"
        words = pod.message or f"{pod.name} had to leave: {pod.disrupted}"
        yield ruling("NodeLost" if lost else "Evicted", words, node=pod.node)
    elif pod.reason == "Evicted":
        own = OWN_LIMIT.search(pod.message) is not None
        yield ruling("WorkspaceFull" if own else "Evicted", pod.message, node=pod.node, charge="user" if own else None)
    elif verdict is None and pod.terminated == "OOMKilled":
        yield ruling("OutOfMemory", f"{pod.name} was killed for memory", node=pod.node)
    elif verdict is None and pod.exit_code not in (None, 0):
        yield _of_exit_code(pod)


def _of_verdict(verdict: Verdict, pod: ObservedPod) -> Ruling:
    return ruling(
        verdict.reason,
        verdict.message,
        hint=verdict.hint,
        stage=verdict.stage or None,
        rank=verdict.rank,
        step=verdict.step,
        node=pod.node,
        charge="final" if verdict.exit_code == EXIT_BAD_INPUT else None,
    )


def _of_exit_code(pod: ObservedPod) -> Ruling:
    if pod.exit_code == EXIT_STOPPED:
        return ruling("Stopped", f"{pod.name} was stopped after a checkpoint", node=pod.node)
    if pod.exit_code == EXIT_BAD_INPUT:
        return ruling("BadInput", f"{pod.name} ended with exit code 2; `kubectl logs` has its words", node=pod.node)
    return ruling("RankCrashed", f"{pod.name} ended with exit code {pod.exit_code}", node=pod.node, rank=pod.index)


def ruling(
    reason: str,
    message: str,
    *,
    hint: str = "",
    charge: Charge | None = None,
    stage: str | None = None,
    rank: int | None = None,
    node: str | None = None,
    step: int | None = None,
) -> Ruling:
    known = contract.REASONS.get(reason)
    return Ruling(
        reason=reason,
        message=message,
        hint=hint or (known.hint if known else ""),
        charge=charge or (known.charge if known else "user"),
        stage=stage,
        rank=rank,
        node=node,
        step=step,
    )


def _weight(ruling: Ruling) -> int:
    """The smaller, the nearer to the cause."""
    if ruling.reason in FOLLOWED:
        return 3 if ruling.reason == "Stopped" else 2
    return 1 if ruling.charge == "infrastructure" else 0


def wait(
    job: ObservedJob, pods: Sequence[ObservedPod], refusal: str | None, unbound: str | None, now: datetime
) -> Wait | None:
    """Say why a Job has no running pod yet, in the words of whom it waits for; None if nothing is known.

    `refusal` is why the API server refuses its pods, `unbound` why the workspace's claim is not bound.
    """
    if job.suspended:
        return Wait(reason="WaitingForQuota", message="the queue has not admitted it yet")
    for pod in pods:
        if pod.waiting is not None and pod.waiting[0] in WORDY:
            return Wait(reason="ImagePull", message=pod.waiting[1] or f"{job.image}: {pod.waiting[0]}")
        if pod.waiting is not None and pod.waiting[0] not in NOT_WORTH_SAYING:
            return Wait(reason=pod.waiting[0], message=pod.waiting[1])
        if pod.unschedulable is not None:
            return _unschedulable(pod, now)
    if unbound and any(pod.node is None for pod in pods):
        return Wait(reason="WorkspaceUnbound", message=unbound)
    if refusal and not pods:
        return Wait(reason="QuotaExceeded" if "exceeded quota" in refusal else "PodRefused", message=refusal)
    return None


def _unschedulable(pod: ObservedPod, now: datetime) -> Wait:
    words = pod.unschedulable or ""
    unbound = "unbound immediate PersistentVolumeClaims" in words or "persistentvolumeclaim" in words
    if unbound and (now - pod.created).total_seconds() > UNBOUND_AFTER_S:
        return Wait(reason="WorkspaceUnbound", message=words)
    return Wait(reason="Unschedulable", message=words)
