"""A run that waits says why, in the words of whom it waits for. All waits are begun at once, since each takes 30 s."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.pods import Fate
from tests.controlplane.bare_job import wait_until
from tests.controlplane.operator_process import SPEC, OperatorProcess, script, training_run, wait_for

TOO_MANY_GPUS = {**SPEC, "cluster": {"nodes": 1, "gpusPerNode": 16}}
NO_IMAGE = {**SPEC, "cluster": {"image": "registry.example/no/such:1", "imagePullSecrets": [{"name": "pull"}]}}
NO_CLAIM = {**SPEC, "cluster": {"workspace": {"storage": "1Gi", "storageClassName": "single"}, "nodes": 2}}


@pytest.fixture
def waiting(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> Callable[[str], dict[str, Any]]:
    control_plane.pods.script(
        corpus,
        lambda pod: (
            Fate(waiting="ImagePullBackOff", waiting_message="Back-off pulling image: no such image")
            if "registry.example" in pod["spec"]["containers"][0]["image"]
            else script()(pod)
        ),
    )
    for name, spec in {"gpus": TOO_MANY_GPUS, "image": NO_IMAGE, "claim": NO_CLAIM}.items():
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run(name, spec))
    return lambda name: kubectl.json("get", "trun", name, "-n", corpus)["status"]


def test_gpus_that_no_node_has_an_image_that_is_not_there_and_a_claim_that_cannot_be_bound(
    kubectl: Kubectl, corpus: str, waiting: Callable[[str], dict[str, Any]]
) -> None:
    gpus = wait_for(kubectl, corpus, "gpus", reason="Unschedulable", timeout_s=60)
    assert "Insufficient nvidia.com/gpu" in gpus["message"]
    assert gpus["phase"] == "Queued"
    image = wait_for(kubectl, corpus, "image", reason="ImagePull", timeout_s=60)
    assert "no such image" in image["message"]
    assert image["stages"]["weights"]["state"] == "Queued"
    claim = wait_for(kubectl, corpus, "claim", reason="WorkspaceUnbound", timeout_s=100)
    assert "the claim claim-workspace (ReadWriteMany) is not bound" in claim["message"]


def test_pods_that_the_api_server_refuses_are_told_in_its_own_words(
    kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"requests.memory": "1Gi", "limits.memory": "1Gi"}},
    }
    kubectl("apply", "-n", corpus, "-f", "-", stdin=json.dumps(quota))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    status = wait_for(kubectl, corpus, "chat", reason="QuotaExceeded", timeout_s=60)
    assert "exceeded quota: small, requested: limits.memory=4Gi" in status["message"]


def test_a_job_that_the_queue_suspends_is_queued_and_its_suspension_is_never_touched(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(corpus, script(data=lambda pod, n: Fate()))
    spec = {**SPEC, "cluster": {"nodes": 2, "queueName": "team-a"}}
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat", spec))
    wait_for(kubectl, corpus, "chat", phase="Preparing")
    job = kubectl.json("get", "job", "chat-data-1", "-n", corpus)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    patch = ["patch", "job", "chat-data-1", "-n", corpus, "--type=merge", "-p"]
    kubectl(*patch, '{"spec": {"suspend": true}}')
    status = wait_for(kubectl, corpus, "chat", phase="Queued", reason="WaitingForQuota")
    assert status["stages"]["weights"]["state"] == "Queued"
    assert kubectl.json("get", "job", "chat-data-1", "-n", corpus)["spec"]["suspend"] is True
    kubectl(*patch, '{"spec": {"suspend": false}}')
    wait_until(lambda: "reason" not in wait_for(kubectl, corpus, "chat", phase="Preparing"))
