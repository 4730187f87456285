"""A Job as small as Pod Security `restricted` allows, to see what the cluster does with it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from testcluster.kubectl import Kubectl


def bare_job(name: str, *, pods: int = 1, annotations: dict[str, str] | None = None, **of_pod: Any) -> str:
    """The manifest of a Job with so many pods, each tried once."""
    container = {
        "name": "main",
        "image": "example/none",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "10m"}},
    }
    safe = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "containers": [container], "securityContext": safe, **of_pod}
    template = {"metadata": {"annotations": annotations or {}}, "spec": spec}
    job = {"completions": pods, "parallelism": pods, "backoffLimit": 0, "template": template}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": job})


def pods_of(kubectl: Kubectl, namespace: str) -> list[dict[str, Any]]:
    """All pods of a namespace."""
    found: list[dict[str, Any]] = kubectl.json("get", "pods", "-n", namespace)["items"]
    return found


def wait_until(holds: Callable[[], Any], *, timeout_s: float = 20) -> Any:
    """Ask again until it gives something true, and return that."""
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return found
