"""A run from apply to its end, as its user sees it, with pods that do what real ones would."""

from __future__ import annotations

import json
from typing import Any

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


def test_an_applied_run_becomes_complete_and_says_what_came_out(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(corpus, finished)
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=30s")
    status = status_of(kubectl, corpus, "chat")
    assert status["phase"] == "Complete"
    assert {entry["state"] for entry in status["stages"].values()} == {"Succeeded"}
    assert status["data"]["rowsKept"] == 900
    assert status["result"]["perplexity"] == 4.5722
    assert status["output"]["uri"] == "pvc://corpus/out"
    jobs = kubectl.json("get", "jobs", "-n", corpus)["items"]
    assert sorted(job["metadata"]["name"] for job in jobs) == [
        "chat-data-1",
        "chat-finish-1",
        "chat-index-1",
        "chat-train-1",
    ]
    store = kubectl.json("get", "statefulset", "chat-weaviate", "-n", corpus)
    assert store["spec"]["replicas"] == 0


def test_gpus_are_asked_for_only_when_tokens_are_ready(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(corpus, script(data=lambda pod, attempt: Fate(), train=lambda pod, attempt: Fate()))
    spec = {**SPEC, "cluster": {"nodes": 2, "gpusPerNode": 8}}
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat", spec))
    wait_for(kubectl, corpus, "chat", phase="Preparing")
    assert _asked_gpus(kubectl, corpus) == 0
    data = wait_until(lambda: _running(kubectl, corpus, "data"))
    control_plane.pods.end(corpus, data, finished(_pod(kubectl, corpus, data)))
    status = wait_for(kubectl, corpus, "chat", phase="Training", gpus=16)
    assert status["stages"]["train"]["state"] == "Running"
    assert _asked_gpus(kubectl, corpus) == 16


def test_a_crashed_rank_restarts_the_whole_gang_and_nothing_before_it(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    def train(pod: dict[str, Any], attempt: int) -> Fate | None:
        if attempt == 1:
            index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
            return failing("RankCrashed", rank=1) if index == "1" else Fate(stop_exit_code=75)
        return None

    control_plane.pods.script(corpus, script(train=train))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=60s")
    status = status_of(kubectl, corpus, "chat")
    assert status["stages"]["train"]["attempt"] == 2
    assert {name: entry["attempt"] for name, entry in status["stages"].items() if name != "train"} == dict.fromkeys(
        ("weights", "ingest", "prepare", "tokenize", "index", "evaluate", "export", "report"), 1
    )


def test_bad_input_ends_the_run_at_once_with_the_cause_and_the_cure(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    verdict = {"hint": "name a column that is there", "stage": "ingest"}
    control_plane.pods.script(corpus, script(data=lambda pod, n: failing("BadInput", exit_code=2, **verdict)))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    kubectl("wait", "-n", corpus, "--for=condition=Failed", "trun/chat", "--timeout=30s")
    status = status_of(kubectl, corpus, "chat")
    assert status["failure"]["reason"] == "BadInput"
    assert status["failure"]["hint"] == "name a column that is there"
    assert status["failure"]["stage"] == "ingest"
    assert status["stages"]["train"]["state"] == "Skipped"
    assert len(kubectl.json("get", "jobs", "-n", corpus)["items"]) == 1


def test_a_suspended_run_frees_its_pods_and_goes_on_after_what_is_finished(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    stays = Fate(stops_after_s=1.0, stop_exit_code=75)
    control_plane.pods.script(corpus, script(train=lambda pod, n: stays if n == 1 else None))
    kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
    wait_for(kubectl, corpus, "chat", phase="Training", stage="train")
    _patch(kubectl, corpus, {"suspend": True})
    wait_for(kubectl, corpus, "chat", phase="Suspended", timeout_s=5)
    wait_until(lambda: not _alive(kubectl, corpus, "train"))
    wait_for(kubectl, corpus, "chat", message="suspended; set spec.suspend to false to go on")
    _patch(kubectl, corpus, {"suspend": False})
    kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=30s")
    stages = status_of(kubectl, corpus, "chat")["stages"]
    assert stages["train"]["attempt"] == 2
    assert stages["prepare"]["attempt"] == 1


def test_a_deleted_run_leaves_nothing_even_if_the_operator_is_down(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, crd: None
) -> None:
    control_plane.pods.script(corpus, script(train=lambda pod, n: Fate()))
    with OperatorProcess(control_plane, TRAINWRIGHT_WATCHED=corpus, TRAINWRIGHT_LEASE=corpus):
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
        wait_for(kubectl, corpus, "chat", phase="Training", stage="train")
    kubectl("delete", "trun", "chat", "-n", corpus, "--timeout=10s")
    kinds = "jobs,pods,services,statefulsets,configmaps,secrets,networkpolicies,serviceaccounts,persistentvolumeclaims"

    def left() -> list[str]:
        names = kubectl("get", kinds, "-n", corpus, "-o", "name").split()
        return [name for name in names if "chat" in name]

    wait_until(lambda: not left(), timeout_s=30)


def test_two_runs_of_a_name_one_after_the_other_do_not_meet(
    control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess
) -> None:
    control_plane.pods.script(corpus, finished)
    for _ in range(2):
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
        kubectl("wait", "-n", corpus, "--for=condition=Complete", "trun/chat", "--timeout=40s")
        kubectl("delete", "trun", "chat", "-n", corpus, "--timeout=10s")


def _patch(kubectl: Kubectl, namespace: str, spec: dict[str, Any]) -> None:
    kubectl("patch", "trun", "chat", "-n", namespace, "--type=merge", "-p", json.dumps({"spec": spec}))


def _pods(kubectl: Kubectl, namespace: str, group: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("get", "pods", "-n", namespace, "-l", f"trainwright.dev/group={group}")[
        "items"
    ]
    return found


def _pod(kubectl: Kubectl, namespace: str, name: str) -> dict[str, Any]:
    return kubectl.json("get", "pod", name, "-n", namespace)


def _running(kubectl: Kubectl, namespace: str, group: str) -> str:
    pods = _pods(kubectl, namespace, group)
    return next((pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"), "")


def _alive(kubectl: Kubectl, namespace: str, group: str) -> bool:
    return any(pod["status"]["phase"] in ("Pending", "Running") for pod in _pods(kubectl, namespace, group))


def _asked_gpus(kubectl: Kubectl, namespace: str) -> int:
    pods = kubectl.json("get", "pods", "-n", namespace)["items"]
    containers = [container for pod in pods for container in pod["spec"]["containers"]]
    return sum(int(container["resources"]["requests"].get("nvidia.com/gpu", 0)) for container in containers)
