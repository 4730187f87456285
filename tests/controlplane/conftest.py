"""The control plane tier: one real cluster for the session, a namespace under Pod Security `restricted` for each test.

    def test_something(control_plane, kubectl, namespace): ...

`control_plane.pods` says what becomes of pods, `kubectl` acts as the administrator, `control_plane.kubeconfig_of` makes
a ServiceAccount's kubeconfig.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator

import pytest

from testcluster import programs
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from tests.controlplane.bare_job import wait_until
from tests.controlplane.operator_process import ROOT, SYSTEM, OperatorProcess


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, needs: Callable[[str], str]) -> Iterator[ControlPlane]:
    """A running cluster; what it needs is built first, which takes minutes once."""
    if any(programs.find(name) is None for name in programs.CONTROL_PLANE):
        needs("go")
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            programs.build(tell=print)
    with ControlPlane() as cluster:
        yield cluster


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """kubectl as the cluster's administrator."""
    return control_plane.kubectl


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a new namespace; it is deleted after the test, and whatever hangs in it is let go."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    yield name
    control_plane.pods.release(name)
    control_plane.api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def crd(control_plane: ControlPlane) -> None:
    """The cluster knows TrainingRuns, and the operator's namespace is there."""
    control_plane.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests" / "crd.yaml"))
    served = ["get", "crd", "trainingruns.trainwright.dev", "-o", "jsonpath={.status.conditions[*].type}"]
    wait_until(lambda: "Established" in control_plane.kubectl(*served))
    control_plane.kubectl("create", "namespace", SYSTEM)


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, crd: None) -> Iterator[OperatorProcess]:
    """An operator that serves all namespaces."""
    with OperatorProcess(control_plane) as process:
        yield process


@pytest.fixture
def corpus(kubectl: Kubectl, namespace: str) -> str:
    """The namespace, with a claim `corpus` that sources and outputs lie on."""
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "corpus"}, "spec": spec}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(claim))
    return namespace
