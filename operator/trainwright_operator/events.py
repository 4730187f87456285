"""Kubernetes Events for changes of state: what `kubectl describe` shows below the status. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from trainwright_operator import names
from trainwright_operator.observed import ObservedRun

Event = dict[str, Any]


def events_of(old: ObservedRun, new: ObservedRun) -> Iterator[Event]:
    """An Event per stage that changed its state, and one for the phase."""
    before, after = old.status.get("stages") or {}, new.status.get("stages") or {}
    for name, entry in after.items():
        was = (before.get(name) or {}).get("state")
        now = entry.get("state")
        if now != was and now in ("Running", "Succeeded", "Reused", "Failed"):
            words = entry.get("message") or f"attempt {entry.get('attempt', 1)}"
            yield _event(new, f"Stage{now}", f"{name}: {words}", warning=now == "Failed")
    if new.status.get("phase") != old.status.get("phase"):
        phase = str(new.status.get("phase"))
        yield _event(new, phase, str(new.status.get("message") or ""), warning=phase == "Failed")


def _event(run: ObservedRun, reason: str, message: str, *, warning: bool) -> Event:
    digest = hashlib.sha256(f"{run.uid}{run.resource_version}{reason}{message}".encode()).hexdigest()[:16]
    when = _now(run)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{run.name}.{digest}", "namespace": run.namespace},
        "involvedObject": {
            "apiVersion": f"{names.GROUP}/{names.VERSION}",
            "kind": names.KIND,
            "name": run.name,
            "namespace": run.namespace,
            "uid": run.uid,
        },
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "source": {"component": names.FIELD_MANAGER},
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": 1,
    }


def _now(run: ObservedRun) -> str:
    """The newest moment the status names."""
    stages = (run.status.get("stages") or {}).values()
    times = [entry.get(key) for entry in stages for key in ("startTime", "completionTime")]
    times += [run.status.get("startTime"), run.status.get("completionTime")]
    times += [condition.get("lastTransitionTime") for condition in run.status.get("conditions") or ()]
    return max((time for time in times if time), default=run.created.strftime("%Y-%m-%dT%H:%M:%SZ"))
