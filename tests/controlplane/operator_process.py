"""The operator as it runs in its pod, here as a process against the test cluster, and runs to give it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.pods import Fate
from testcluster.processes import free_port
from tests.controlplane.bare_job import wait_until

ROOT = Path(__file__).parents[2]
SYSTEM = "trainwright-system"
GROUPS = {
    "data": ("weights", "ingest", "prepare", "tokenize"),
    "index": ("index",),
    "train": ("train",),
    "finish": ("evaluate", "export", "report"),
}
SPEC: dict[str, Any] = {
    "model": {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 512}}},
    "data": {"sources": [{"uri": "pvc://corpus/rows.jsonl"}]},
    "output": {"uri": "pvc://corpus/out"},
    "cluster": {"nodes": 2},
}


class OperatorProcess:
    """One operator; it leads when the `with` begins, and is gone when it ends."""

    def __init__(self, cluster: ControlPlane, *, kubeconfig: Path | None = None, **variables: str) -> None:
        self.cluster = cluster
        self.log = cluster.folder / f"operator-{free_port()}.log"
        self.metrics_port, self.progress_port = free_port(), free_port()
        self.variables = {
            "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
            "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'trainer_image'}",
            "TRAINWRIGHT_LEASE_SECONDS": "3",
            "TRAINWRIGHT_NAMESPACE": SYSTEM,
            "TRAINWRIGHT_IDENTITY": self.log.stem,
            "TRAINWRIGHT_METRICS_PORT": str(self.metrics_port),
            "TRAINWRIGHT_PROGRESS_PORT": str(self.progress_port),
            "TRAINWRIGHT_PROGRESS_URL": f"https://127.0.0.1:{self.progress_port}",
            **variables,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OperatorProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it leads."""
        before = self.said().count("leading as")
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "trainwright_operator"]
            self.process = subprocess.Popen(command, env=os.environ | self.variables, stdout=log, stderr=log)
        wait_until(lambda: self.said().count("leading as") > before or self._ended(), timeout_s=30)
        assert not self._ended(), self.said()[-3000:]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it; the exit code is in `process.returncode`."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text() if self.log.exists() else ""

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None


def training_run(name: str, spec: Mapping[str, Any] | None = None, **metadata: Any) -> str:
    """A TrainingRun as JSON for kubectl."""
    body = {
        "apiVersion": "trainwright.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name, **metadata},
        "spec": dict(spec or SPEC),
    }
    return json.dumps(body)


def finished(pod: Mapping[str, Any], *, runs_s: float = 0.2) -> Fate:
    """The pod does its work and says so."""
    group = pod["metadata"]["labels"].get("trainwright.dev/group", "")
    report: dict[str, Any] = {
        "stages": {
            stage: {"state": "Succeeded", "key": f"{stage:0<16}"[:16], "message": f"{stage} is done"}
            for stage in GROUPS.get(group, ())
        }
    }
    if group == "data":
        report |= {
            "data": {"rowsIn": 1000, "rowsKept": 900, "dropped": {"exactDuplicate": 100}, "fingerprint": "sha256:5f2c"},
            "plan": {"parameters": 3015936, "tokens": 102400, "steps": 100},
        }
    if group == "train":
        report |= {"best": {"step": 100, "loss": 1.5, "perplexity": 4.4817}, "checkpoint": None}
    if group == "finish":
        report |= {
            "result": {"loss": 1.52, "perplexity": 4.5722, "bleu": 0.2},
            "output": {"uri": "pvc://corpus/out", "digest": "sha256:a7713e90"},
        }
    if group == "weaviate":
        return Fate()
    return Fate(runs_s=runs_s, message=json.dumps(report))


def failing(reason: str, *, exit_code: int = 3, **verdict: Any) -> Fate:
    """The pod fails with a verdict."""
    failure = {"reason": reason, "message": f"{reason} happened", "exit_code": exit_code, **verdict}
    return Fate(runs_s=0.2, exit_code=exit_code, message=json.dumps({"failure": failure}))


def script(**fates: Callable[[Mapping[str, Any], int], Fate | None]) -> Callable[[Mapping[str, Any]], Fate]:
    """What becomes of pods, by group and attempt; a group that is not named, or None, finishes."""

    def fate(pod: Mapping[str, Any]) -> Fate:
        labels = pod["metadata"]["labels"]
        special = fates.get(labels.get("trainwright.dev/group", ""))
        return (special(pod, int(labels.get("trainwright.dev/attempt", 1))) if special else None) or finished(pod)

    return fate


def status_of(kubectl: Kubectl, namespace: str, name: str) -> dict[str, Any]:
    """The run's status."""
    status: dict[str, Any] = kubectl.json("get", "trun", name, "-n", namespace).get("status", {})
    return status


def wait_for(kubectl: Kubectl, namespace: str, name: str, *, timeout_s: float = 30, **wanted: Any) -> dict[str, Any]:
    """Wait until members of the status have these values; return it."""
    found: dict[str, Any] = {}

    def holds() -> bool:
        found.clear()
        found.update(status_of(kubectl, namespace, name))
        return all(found.get(key) == value for key, value in wanted.items())

    try:
        wait_until(holds, timeout_s=timeout_s)
    except AssertionError as error:
        raise AssertionError(f"{wanted} did not come; the status is {json.dumps(found, indent=1)}") from error
    return found
