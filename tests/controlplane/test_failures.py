"""What goes wrong gets one word, a sentence and a cure; who is charged decides whether it is tried again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.pods import Fate
from tests.controlplane.bare_job import wait_until
from tests.controlplane.operator_process import (
    SPEC,
    OperatorProcess,
    failing,
    finished,
    script,
    status_of,
    training_run,
    wait_for,
)

OWN_LIMIT = "Pod ephemeral local storage usage exceeds the total limit of containers 4Gi."
PRESSURE = "The node was low on resource: ephemeral-storage."


def test_a_rank_out_of_memory_is_tried_once_more_with_half_the_micro_batch(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    halvings: dict[int, str] = {}

    def train(pod: dict[str, Any], attempt: int) -> Fate:
        variables = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
        halvings[attempt] = variables["TRAINWRIGHT_HALVINGS"]
        return failing("GpuOutOfMemory", rank=3, step=12, stage="train")

    control_plane.pods.script(corpus, script(train=train))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    kubectl("wait", "-n", corpus, "--for=condition=Failed", "trun/chat", "--timeout=60s")
    status = status_of(kubectl, corpus, "chat")
    assert halvings == {1: "0", 2: "1"}
    assert status["reason"] == "GpuOutOfMemory"
    assert (status["failure"]["rank"], status["failure"]["step"], status["failure"]["attempt"]) == (3, 12, 2)
    assert "cluster.microBatch" in status["failure"]["hint"]


def test_a_container_killed_for_memory_without_a_last_word_is_out_of_memory(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(
        corpus, script(data=lambda pod, n: Fate(runs_s=0.2, exit_code=137, reason="OOMKilled") if n == 1 else Fate())
    )
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    status = wait_for(
        kubectl, corpus, "chat", phase="Preparing", message="weights is at work; attempt 2 after OutOfMemory"
    )
    assert status["stages"]["weights"]["attempt"] == 2


@pytest.mark.parametrize(
    ("message", "limit", "reason"),
    [(OWN_LIMIT, 0, "WorkspaceFull"), (PRESSURE, 0, None)],
    ids=["its own limit", "pressure on the node"],
)
def test_an_eviction_is_charged_only_if_the_pod_used_more_than_it_asked_for(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    corpus: str,
    operator: OperatorProcess,
    message: str,
    limit: int,
    reason: str | None,
) -> None:
    evicted = Fate(runs_s=0.2, exit_code=137, pod_reason="Evicted", message=message)
    control_plane.pods.script(corpus, script(data=lambda pod, n: evicted if n == 1 else None))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat", {**SPEC, "backoffLimit": limit}))
    if reason is None:
        kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=30s")
        assert status_of(kubectl, corpus, "chat")["stages"]["weights"]["attempt"] == 2
        return
    kubectl("wait", "-n", corpus, "--for=condition=Failed", "trun/chat", "--timeout=30s")
    status = status_of(kubectl, corpus, "chat")
    assert status["reason"] == reason
    assert "exceeds the total limit of containers 4Gi" in status["failure"]["message"]


def test_a_missed_gate_fails_the_run_and_names_the_weights(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    missed = failing("QualityGate", exit_code=2, stage="evaluate", hint="")
    control_plane.pods.script(corpus, script(finish=lambda pod, n: missed))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    kubectl("wait", "-n", corpus, "--for=condition=Failed", "trun/chat", "--timeout=30s")
    status = status_of(kubectl, corpus, "chat")
    assert (status["reason"], status["stage"]) == ("QualityGate", "evaluate")
    assert status["stages"]["train"]["state"] == "Succeeded"
    assert status["stages"]["export"]["state"] == "Skipped"


@pytest.mark.parametrize(
    ("group", "setting", "field"),
    [
        ("data", {**SPEC["data"], "prepare": {"rareWords": {"enabled": True}}}, "data.prepare.rareWords.enabled"),
        ("cluster", {"stages": {"prepare": {"shards": 16}}}, "cluster.stages.prepare.shards"),
        ("cluster", {"stallTimeout": "10m"}, "cluster.stallTimeout"),
        ("cluster", {"workspace": {"uri": "s3://scratch/runs"}}, "cluster.workspace.uri"),
    ],
)
def test_a_field_that_nothing_acts_on_yet_is_an_invalid_spec_and_nothing_is_started(
    kubectl: Kubectl, corpus: str, operator: OperatorProcess, group: str, setting: dict[str, Any], field: str
) -> None:
    spec = {**SPEC, group: setting}
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat", spec))
    kubectl("wait", "-n", corpus, "--for=condition=Failed", "trun/chat", "--timeout=15s")
    status = status_of(kubectl, corpus, "chat")
    assert status["reason"] == "InvalidSpec"
    assert field in status["message"]
    assert not kubectl.json("get", "jobs", "-n", corpus)["items"]


def test_a_run_past_its_deadline_fails_and_its_pods_go(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(corpus, script(data=lambda pod, n: Fate()))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat", {**SPEC, "activeDeadlineSeconds": 3}))
    kubectl("wait", "-n", corpus, "--for=condition=Failed", "trun/chat", "--timeout=15s")
    assert status_of(kubectl, corpus, "chat")["reason"] == "DeadlineExceeded"
    wait_until(lambda: not kubectl.json("get", "pods", "-n", corpus)["items"])


def test_a_finished_run_goes_when_its_time_to_live_is_over(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(corpus, finished)
    spec = {**SPEC, "ttlSecondsAfterFinished": 2}
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat", spec))
    kubectl("wait", "-n", corpus, "--for=delete", "trun/chat", "--timeout=30s")


def test_a_gang_on_a_lost_node_is_deleted_by_force_and_starts_elsewhere(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    node: list[str] = []

    def train(pod: dict[str, Any], attempt: int) -> Fate | None:
        return Fate() if attempt == 1 else None

    control_plane.pods.script(corpus, script(train=train))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    wait_for(kubectl, corpus, "chat", phase="Training", stage="train")
    pods = kubectl.json("get", "pods", "-n", corpus, "-l", "trainwright.dev/group=train")["items"]
    node = [pods[0]["spec"]["nodeName"]]
    control_plane.lose_node(node[0])
    try:
        for pod in pods:  # what the node lifecycle controller does once the toleration of 30 s is over
            kubectl("delete", "pod", pod["metadata"]["name"], "-n", corpus, "--wait=false", "--grace-period=1")
        kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=120s")
    finally:
        control_plane.find_node(node[0])
    assert status_of(kubectl, corpus, "chat")["stages"]["train"]["attempt"] == 2


def test_a_restarted_operator_goes_on_without_doing_anything_twice(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, crd: None
) -> None:
    control_plane.pods.script(corpus, script(train=lambda pod, n: Fate(runs_s=3.0, message=finished(pod).message)))
    with OperatorProcess(control_plane, TRAINWRIGHT_WATCHED=corpus, TRAINWRIGHT_LEASE=corpus) as operator:
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
        wait_for(kubectl, corpus, "chat", phase="Training", stage="train")
        operator.stop()
        time.sleep(4)
        operator.start()
        kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=30s")
    stages = status_of(kubectl, corpus, "chat")["stages"]
    assert {entry["attempt"] for entry in stages.values()} == {1}
