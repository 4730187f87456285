"""What the operator sees: runs, Jobs and pods, cut down to what decisions need, so that thousands fit into memory.

In: objects as the API server sends them. Out: frozen values. Nothing here asks the API server or the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trainwright.contract import PodReport

from trainwright_operator import names

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRun:
    """A TrainingRun as the API server has it."""

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting: bool
    labels: Mapping[str, str]
    spec: Body
    status: Body

    @property
    def finished(self) -> str | None:
        """Complete or Failed once that is said; final."""
        for kind in ("Complete", "Failed"):
            if (condition(self.status, kind) or {}).get("status") == "True":
                return kind
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedJob:
    """One attempt of a group of stages."""

    name: str
    namespace: str
    run: str
    run_uid: str
    uid: str
    group: str
    attempt: int
    created: datetime
    deleting: bool
    suspended: bool
    """By a queue; the operator never sets it."""
    completions: int
    active: int
    terminating: int
    complete: bool
    failed_reason: str | None
    """Reason of its Failed condition, None while it has not failed."""
    failed_message: str
    ended: datetime | None
    image: str

    @property
    def is_over(self) -> bool:
        """Whether it will do nothing more."""
        return self.complete or self.failed_reason is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """One pod of an attempt."""

    name: str
    namespace: str
    run: str
    run_uid: str
    uid: str
    group: str
    attempt: int
    index: int
    node: str | None
    phase: str
    created: datetime
    started: datetime | None
    deletion: datetime | None
    """When its grace ends, if it is being deleted."""
    disrupted: str | None
    """Reason of its DisruptionTarget condition: preempted, evicted, its node gone."""
    reason: str | None
    """Of the pod itself: Evicted, NodeLost, …"""
    message: str
    unschedulable: str | None
    """The scheduler's words."""
    waiting: tuple[str, str] | None
    """Reason and message of a container that cannot start."""
    exit_code: int | None
    terminated: str | None
    """Reason of the container's end: Completed, Error, OOMKilled."""
    report: PodReport | None
    """What it left at its end."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.phase in ("Succeeded", "Failed")


def condition(status: Body, kind: str) -> Body | None:
    """The condition of a kind, or None."""
    return next((item for item in status.get("conditions") or () if item.get("type") == kind), None)


def time_of(text: str | None) -> datetime | None:
    """A time of the API server's; whole seconds, UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC) if text else None


def run_of(body: Body) -> ObservedRun:
    """Read a TrainingRun."""
    meta = body["metadata"]
    return ObservedRun(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 1),
        resource_version=meta["resourceVersion"],
        created=_created(meta),
        deleting="deletionTimestamp" in meta,
        labels=dict(meta.get("labels") or {}),
        spec=_plain(body.get("spec") or {}),
        status=_plain(body.get("status") or {}),
    )


def job_of(body: Body) -> ObservedJob | None:
    """Read a Job; None if it is not one of ours."""
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    labels = meta.get("labels") or {}
    try:
        own = {"run": labels[names.RUN], "run_uid": labels[names.RUN_UID], "group": labels[names.JOB_GROUP]}
        attempt = int(labels[names.ATTEMPT])
    except (KeyError, ValueError):
        return None
    complete, failed = condition(status, "Complete"), condition(status, "Failed")
    has_failed = failed is not None and failed.get("status") == "True"
    end = failed if has_failed else complete
    return ObservedJob(
        **own,
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        attempt=attempt,
        created=_created(meta),
        deleting="deletionTimestamp" in meta,
        suspended=bool(spec.get("suspend")),
        completions=spec.get("completions") or 1,
        active=status.get("active") or 0,
        terminating=status.get("terminating") or 0,
        complete=complete is not None and complete.get("status") == "True",
        failed_reason=str((failed or {}).get("reason") or "Failed") if has_failed else None,
        failed_message=str((failed or {}).get("message") or "") if has_failed else "",
        ended=time_of(end.get("lastTransitionTime")) if end else None,
        image=next((c["image"] for c in spec["template"]["spec"]["containers"] if c["name"] == names.CONTAINER), ""),
    )


def pod_of(body: Body) -> ObservedPod | None:
    """Read a pod; None if it is not one of ours."""
    meta, status = body["metadata"], body.get("status") or {}
    labels = meta.get("labels") or {}
    try:
        own = {"run": labels[names.RUN], "run_uid": labels[names.RUN_UID], "group": labels[names.JOB_GROUP]}
        attempt = int(labels[names.ATTEMPT])
    except (KeyError, ValueError):
        return None
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    states = [container.get("state") or {} for container in containers]
    stage = next((c.get("state") or {} for c in containers if c.get("name") == names.CONTAINER), {})
    ended = stage.get("terminated") or {}
    waiting = next((state["waiting"] for state in states if "waiting" in state), None)
    scheduled, disrupted = condition(status, "PodScheduled") or {}, condition(status, "DisruptionTarget") or {}
    return ObservedPod(
        **own,
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        attempt=attempt,
        index=int((meta.get("annotations") or {}).get(names.COMPLETION_INDEX) or 0),
        node=(body.get("spec") or {}).get("nodeName"),
        phase=status.get("phase") or "Pending",
        created=_created(meta),
        started=time_of((stage.get("running") or ended).get("startedAt")),
        deletion=time_of(meta.get("deletionTimestamp")),
        disrupted=str(disrupted.get("reason")) if disrupted.get("status") == "True" else None,
        reason=status.get("reason"),
        message=status.get("message") or "",
        unschedulable=scheduled.get("message") if scheduled.get("reason") == "Unschedulable" else None,
        waiting=(waiting.get("reason") or "", waiting.get("message") or "") if waiting else None,
        exit_code=ended.get("exitCode"),
        terminated=ended.get("reason"),
        report=report_of(ended.get("message")),
    )


def report_of(message: str | None) -> PodReport | None:
    """The report in a termination message; None if there is none or it is somebody else's text."""
    try:
        return PodReport.model_validate(json.loads(message)) if message else None
    except ValueError:
        return None


def _created(meta: Body) -> datetime:
    created = time_of(meta["creationTimestamp"])
    assert created is not None
    return created


def _plain(value: Any) -> Any:
    """The value as plain dicts and lists, detached from what a framework wraps around it."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
