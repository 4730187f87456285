"""Plays the kubelet: makes pods run, end, hang or go as a test says, by writing their status through the API.

A pod's `Fate` comes from a function that the test set for its namespace, else from the pod's annotation
`testcluster/fate` (a Fate as JSON), else it is the player's default. Pods are played as with restartPolicy Never. Left
alone are namespaces whose names begin with `fast-` (KWOK's, see nodes.py) and pods on nodes that are lost.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException

from testcluster.api import STRATEGIC, Api, ApiError, Object
from testcluster.nodes import FAST

FATE = "testcluster/fate"
PODS = "/api/v1/pods?fieldSelector=spec.nodeName!="
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of a pod, in seconds from when it is bound to a node."""

    starts_after_s: float = 0.0
    waiting: str = ""
    """A reason such as ImagePullBackOff: the pod never starts."""
    waiting_message: str = ""
    runs_s: float | None = None
    """None: until it is deleted, or ended by `Player.end`."""
    exit_code: int = 0
    message: str = ""
    """The termination message."""
    reason: str = ""
    """The container's, such as OOMKilled; Completed or Error if empty."""
    pod_reason: str = ""
    """The pod's own, such as Evicted, with `message` as the pod's message."""
    stops_after_s: float | None = 0.0
    """How long it takes to go once deleted; None: it never does."""
    stop_exit_code: int = 143
    stop_message: str = ""
    """The exit code and termination message of one that was deleted while it ran."""


Script = Callable[[Object], Fate]


@dataclass(slots=True)
class _Part:
    """What the player has already set in motion for a pod."""

    fate: Fate
    going: bool = False


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    action: Callable[[], None] = field(compare=False)


class Player:
    """Plays all pods of a cluster from `start` to `stop`, in threads of this process."""

    def __init__(self, api: Api, *, default: Script = lambda pod: Fate()) -> None:
        self._api = api
        self._default = default
        self._scripts: dict[str, Script] = {}
        self._parts: dict[str, _Part] = {}
        self._lost: set[str] = set()
        self._due: list[_Due] = []
        self._wake = threading.Condition()
        self._stopping = threading.Event()
        self._numbers = itertools.count()
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="pod-player")
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to play, pods that are there already included."""
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._listen, self._keep_time)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; pods stay as they are."""
        self._stopping.set()
        with self._wake:
            self._wake.notify()
        self._workers.shutdown(cancel_futures=True)

    def join(self) -> None:
        """Wait for its threads; the one that listens ends with its connection."""
        for thread in self._threads:
            thread.join()

    def script(self, namespace: str, script: Script | Fate) -> None:
        """Set what becomes of the pods of a namespace that are bound to a node from now on."""
        self._scripts[namespace] = (lambda pod: script) if isinstance(script, Fate) else script

    def end(self, namespace: str, name: str, fate: Fate) -> None:
        """End a running pod at once, with this fate's exit code, termination message and reasons."""
        self._finish(self._api.get(_path(namespace, name)), fate)

    def release(self, namespace: str) -> None:
        """Forget what was said about a namespace, and let its pods go as soon as they are deleted."""
        self._scripts.pop(namespace, None)
        for pod in self._api.get(f"/api/v1/namespaces/{namespace}/pods?fieldSelector=spec.nodeName!=")["items"]:
            self._parts[pod["metadata"]["uid"]] = _Part(Fate())
            self._see(pod)

    def lose(self, node: str, *, lost: bool = True) -> None:
        """Leave the pods of a node alone, as if its kubelet were gone; or take them up again."""
        (self._lost.add if lost else self._lost.discard)(node)
        if not lost:
            for pod in self._api.get(f"/api/v1/pods?fieldSelector=spec.nodeName={node}")["items"]:
                self._see(pod)

    def _listen(self) -> None:
        for kind, pod in self._api.follow(PODS, self._stopping):
            if kind == "DELETED":
                self._parts.pop(pod["metadata"]["uid"], None)
            else:
                self._see(pod)

    def _see(self, pod: Object) -> None:
        metadata = pod["metadata"]
        if metadata["namespace"].startswith(FAST) or pod["spec"]["nodeName"] in self._lost:
            return
        part = self._parts.get(metadata["uid"])
        if part is None:
            part = self._parts[metadata["uid"]] = _Part(self._fate(pod))
            if pod.get("status", {}).get("phase") == "Pending" and "deletionTimestamp" not in metadata:
                self._after(part.fate.starts_after_s, lambda: self._begin(pod, part.fate))
        if "deletionTimestamp" in metadata and not part.going and part.fate.stops_after_s is not None:
            part.going = True
            self._after(part.fate.stops_after_s, lambda: self._remove(pod, part.fate))

    def _fate(self, pod: Object) -> Fate:
        script = self._scripts.get(pod["metadata"]["namespace"])
        if script is not None:
            return script(pod)
        told = pod["metadata"].get("annotations", {}).get(FATE)
        return Fate(**json.loads(told)) if told else self._default(pod)

    def _begin(self, pod: Object, fate: Fate) -> None:
        if fate.waiting:
            self._write_status(pod, waiting(pod, fate))
            return
        self._write_status(pod, running(pod, number=next(self._numbers)))
        if fate.runs_s is not None:
            self._after(fate.runs_s, lambda: self._finish(pod, fate))

    def _finish(self, pod: Object, fate: Fate) -> None:
        self._write_status(pod, ended(pod, fate))

    def _remove(self, pod: Object, fate: Fate) -> None:
        metadata = pod["metadata"]
        path = _path(metadata["namespace"], metadata["name"])
        found = self._api.get(path)
        if found["status"]["phase"] not in ("Succeeded", "Failed"):
            stopped = Fate(exit_code=fate.stop_exit_code, message=fate.stop_message)
            self._write_status(found, ended(found, stopped))
        self._api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})

    def _write_status(self, pod: Object, status: Object) -> None:
        metadata = pod["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        self._api.patch(_path(metadata["namespace"], metadata["name"]) + "/status", body, kind=STRATEGIC)

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        if not delay_s:
            self._submit(action)
            return
        with self._wake:
            heapq.heappush(self._due, _Due(time.monotonic() + delay_s, next(self._numbers), action))
            self._wake.notify()

    def _keep_time(self) -> None:
        with self._wake:
            while not self._stopping.is_set():
                while self._due and self._due[0].at <= time.monotonic():
                    self._submit(heapq.heappop(self._due).action)
                self._wake.wait(max(0.0, self._due[0].at - time.monotonic()) if self._due else None)

    def _submit(self, action: Callable[[], None]) -> None:
        if not self._stopping.is_set():
            self._workers.submit(self._do, action)

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except ApiError as error:
            # The pod is gone, or is another one by now: nothing is left to be played.
            if error.status not in (404, 409):
                LOG.warning("a pod could not be played: %s", error)
        except (OSError, HTTPException):
            # The API server is away: a kubelet would try again, too.
            self._after(0.5, action)


def running(pod: Object, *, number: int) -> Object:
    """Return the status of a pod that runs; its address is made from the number."""
    now = _now()
    address = f"198.18.{128 + number // 250 % 120}.{number % 250 + 1}"
    state = {"running": {"startedAt": now}}
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in ("Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers")
        ],
        "startTime": now,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": [_container(one, state, ready=True) for one in pod["spec"]["containers"]],
        "initContainerStatuses": [
            _container(one, {"terminated": _terminated(now, Fate())}, ready=True)
            for one in pod["spec"].get("initContainers", [])
        ],
    }


def waiting(pod: Object, fate: Fate) -> Object:
    """Return the status of a pod whose containers cannot start."""
    state = {"waiting": {"reason": fate.waiting, "message": fate.waiting_message}}
    containers = [_container(one, state, ready=False) for one in pod["spec"]["containers"]]
    return {"phase": "Pending", "startTime": _now(), "containerStatuses": containers}


def ended(pod: Object, fate: Fate) -> Object:
    """Return the status of a pod that has ended: its first container as the fate says, the others well."""
    now = _now()
    first, *others = pod["spec"]["containers"]
    fates: Iterable[tuple[Object, Fate]] = [(first, fate), *((other, Fate()) for other in others)]
    status: Object = {
        "phase": "Failed" if fate.exit_code or fate.pod_reason else "Succeeded",
        "conditions": [
            {"type": kind, "status": "False", "reason": "PodCompleted", "lastTransitionTime": now}
            for kind in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [_container(one, {"terminated": _terminated(now, of)}, ready=False) for one, of in fates],
    }
    if fate.pod_reason:
        status |= {"reason": fate.pod_reason, "message": fate.message}
    return status


def _container(container: Object, state: Object, *, ready: bool) -> Object:
    image = container["image"]
    told = {"name": container["name"], "image": image, "imageID": image if "terminated" in state or ready else ""}
    return {**told, "ready": ready, "started": ready, "restartCount": 0, "state": state}


def _terminated(now: str, fate: Fate) -> Object:
    return {
        "exitCode": fate.exit_code,
        "reason": fate.reason or ("Error" if fate.exit_code else "Completed"),
        "message": fate.message,
        "startedAt": now,
        "finishedAt": now,
    }


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
