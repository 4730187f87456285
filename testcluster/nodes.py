"""The nodes of a test cluster: Node objects of several sizes, which KWOK keeps healthy.

Nothing runs on them. What becomes of their pods is played (pods.py), or, in namespaces whose names begin with `fast-`,
done by KWOK as fast as it can: running at once, complete at once if a Job owns them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FAST = "fast-"
MANAGED = "kwok.x-k8s.io/node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """So many equal nodes, named NAME-0, NAME-1, …"""

    name: str
    count: int
    cpu: int = 64
    memory_gib: int = 256
    disk_gib: int = 1000
    pods: int = 110
    gpus: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()


CPU_POOL = Pool(name="cpu", count=3)
# The size of a common cloud machine with eight A100s, and the label that NVIDIA's feature discovery gives it.
GPU_POOL = Pool(
    name="gpu",
    count=3,
    cpu=96,
    memory_gib=1152,
    gpus=8,
    labels={"nvidia.com/gpu.product": "A100-SXM4-80GB", "nvidia.com/gpu.count": "8"},
)


def node_manifests(pools: Sequence[Pool]) -> list[dict[str, Any]]:
    """Return the Node objects of these pools."""
    return [_node(pool, f"{pool.name}-{number}") for pool in pools for number in range(pool.count)]


def _node(pool: Pool, name: str) -> dict[str, Any]:
    size = {
        "cpu": str(pool.cpu),
        "memory": f"{pool.memory_gib}Gi",
        "ephemeral-storage": f"{pool.disk_gib}Gi",
        "pods": str(pool.pods),
    }
    if pool.gpus:
        size["nvidia.com/gpu"] = str(pool.gpus)
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {MANAGED: "fake"},
            "labels": {**labels, "testcluster/pool": pool.name, **pool.labels},
        },
        "spec": {"taints": [dict(taint) for taint in pool.taints]},
        "status": {"capacity": size, "allocatable": size},
    }


def write_kwok_config(path: Path) -> Path:
    """Write KWOK's configuration: its stages."""
    path.write_text("---\n".join(json.dumps(stage) + "\n" for stage in _stages()))
    return path


def _stages() -> list[dict[str, Any]]:
    ready = '.status.conditions.[] | select( .type == "Ready" ) | .status'
    in_fast = (f'.metadata.namespace | startswith("{FAST}")', "true")
    alive = (".metadata.deletionTimestamp", None)
    return [
        _stage("node-ready", "Node", [(ready, "!True")], {"statusTemplate": _NODE_READY}),
        _stage("pod-running", "Pod", [in_fast, alive, (".status.podIP", None)], {"statusTemplate": _POD_RUNNING}),
        _stage(
            "pod-complete",
            "Pod",
            [in_fast, alive, (".status.phase", "Running"), (".metadata.ownerReferences.[].kind", "Job")],
            {"statusTemplate": _POD_COMPLETE},
        ),
        _stage("pod-gone", "Pod", [in_fast, (alive[0], "*")], {"finalizers": {"empty": True}, "delete": True}),
    ]


def _stage(name: str, kind: str, when: Sequence[tuple[str, str | None]], then: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": [_expression(key, value) for key, value in when]},
            "next": then,
        },
    }


def _expression(key: str, value: str | None) -> dict[str, Any]:
    if value is None:
        return {"key": key, "operator": "DoesNotExist"}
    if value == "*":
        return {"key": key, "operator": "Exists"}
    negated = value.startswith("!")
    return {"key": key, "operator": "NotIn" if negated else "In", "values": [value.removeprefix("!")]}


_NODE_READY = """
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
addresses:
- address: {{ NodeIP | Quote }}
  type: InternalIP
- address: {{ NodeName | Quote }}
  type: Hostname
nodeInfo:
  architecture: amd64
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: ""
  kubeletVersion: kwok
  machineID: ""
  operatingSystem: linux
  osImage: kwok
  systemUUID: ""
phase: Running
"""
_POD_RUNNING = """
{{ $now := Now }}
conditions:
{{ range $type := (list "Initialized" "Ready" "ContainersReady") }}
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: {{ $type }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
phase: Running
startTime: {{ $now | Quote }}
"""
_POD_COMPLETE = """
{{ $now := Now }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  started: false
  state:
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      reason: Completed
      startedAt: {{ $now | Quote }}
{{ end }}
phase: Succeeded
"""
