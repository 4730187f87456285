"""What pods tell while they work: who may speak for a run, and how it shows in the status."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.pods import Fate
from tests.controlplane.bare_job import wait_until
from tests.controlplane.operator_process import OperatorProcess, script, training_run, wait_for


class Speaker:
    """A pod of a run, with the token that the kubelet would have given it."""

    def __init__(self, cluster: ControlPlane, namespace: str, run: str, operator: OperatorProcess, tmp: Path) -> None:
        self.namespace, self.run, self.operator = namespace, run, operator
        self.pod = wait_until(lambda: self._running(cluster))
        identity = next(v for v in self.pod["spec"]["volumes"] if v["name"] == "identity")
        wanted = identity["projected"]["sources"][0]["serviceAccountToken"]
        meta = self.pod["metadata"]
        account = self.pod["spec"]["serviceAccountName"]
        asked = {
            "spec": {
                "audiences": [wanted["audience"]],
                "expirationSeconds": wanted["expirationSeconds"],
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]},
            }
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        self.token = cluster.api.post(path, asked)["status"]["token"]
        config = cluster.api.get(f"/api/v1/namespaces/{namespace}/configmaps/{run}-run")
        self.authority = tmp / f"{run}.crt"
        self.authority.write_text(config["data"]["ca.crt"])

    def _running(self, cluster: ControlPlane) -> dict[str, Any] | None:
        query = f"labelSelector=trainwright.dev/run={self.run},trainwright.dev/group=train"
        pods = cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods?{query}")["items"]
        return next((pod for pod in pods if pod["status"]["phase"] == "Running"), None)

    def post(self, body: object, *, run: str | None = None, what: str = "pod", token: str | None = None) -> int:
        context = ssl.create_default_context(cafile=str(self.authority))
        line = http.client.HTTPSConnection("127.0.0.1", self.operator.progress_port, context=context, timeout=10)
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        line.request("POST", f"/runs/{self.namespace}/{run or self.run}/{what}", json.dumps(body), headers)
        answer = line.getresponse()
        answer.read()
        line.close()
        return answer.status

    def progress(self, step: int, **figures: Any) -> dict[str, Any]:
        return {
            "pod": self.pod["metadata"]["name"],
            "attempt": 1,
            "stage": "train",
            "done": step,
            "total": 200,
            "unit": "steps",
            "figures": figures,
            "ranks": [{"rank": 0, "step": step, "heartbeatAgeSeconds": 1.0}],
        }


@pytest.fixture
def training(control_plane: ControlPlane, kubectl: Kubectl, corpus: str, operator: OperatorProcess) -> str:
    control_plane.pods.script(corpus, script(train=lambda pod, n: Fate()))
    for name in ("a", "b"):
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run(name))
    for name in ("a", "b"):
        wait_for(kubectl, corpus, name, phase="Training", stage="train")
    return corpus


def test_progress_shows_in_the_status_and_in_the_columns(
    control_plane: ControlPlane, kubectl: Kubectl, training: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    pod = Speaker(control_plane, training, "a", operator, tmp_path)
    assert pod.post(pod.progress(50, loss=1.28743, tokensPerSecond=2112, secondsPerStep=2.0)) == 200
    status = wait_for(kubectl, training, "a", message="train: step 50 of 200; 2,112 tokens/s", timeout_s=25)
    assert status["progress"]["loss"] == 1.2874
    assert status["progress"]["eta"] == "5m00s"
    assert status["stages"]["train"]["done"] == 50
    columns = kubectl("get", "trun", "a", "-n", training).splitlines()[1].split()
    assert columns[:6] == ["a", "Training", "train", "29%", "5m00s", "1.2874"]


def test_a_run_s_token_speaks_for_that_run_alone(
    control_plane: ControlPlane, kubectl: Kubectl, training: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    a, b = (Speaker(control_plane, training, name, operator, tmp_path) for name in ("a", "b"))
    assert a.post(a.progress(1), run="b") == 403
    assert a.post(a.progress(1), token=b.token) == 403
    assert a.post(a.progress(1), token="nonsense") == 403
    account = f"/api/v1/namespaces/{training}/serviceaccounts/default/token"
    audience = next(v for v in a.pod["spec"]["volumes"] if v["name"] == "identity")["projected"]["sources"][0]
    asked = {"spec": {"audiences": [audience["serviceAccountToken"]["audience"]], "expirationSeconds": 600}}
    stranger = control_plane.api.post(account, asked)["status"]["token"]
    assert a.post(a.progress(1), token=stranger) == 403
    assert "progress" not in kubectl.json("get", "trun", "b", "-n", training)["status"] or (
        "step" not in kubectl.json("get", "trun", "b", "-n", training)["status"]["progress"]
    )


def test_a_hugging_face_trainer_reports_by_its_own_protocol(
    control_plane: ControlPlane, kubectl: Kubectl, training: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    pod = Speaker(control_plane, training, "a", operator, tmp_path)
    metrics = [{"name": "loss", "value": "2.5"}]
    body = {"trainerStatus": {"progressPercentage": 40, "estimatedRemainingSeconds": 90, "metrics": metrics}}
    assert pod.post(body, what="status") == 200
    wait_until(
        lambda: kubectl.json("get", "trun", "a", "-n", training)["status"]["stages"]["train"].get("done") == 40,
        timeout_s=25,
    )
    assert pod.post({"trainerStatus": {"progressPercentage": 400}}, what="status") == 422


def test_a_silent_rank_is_named_and_the_gang_starts_anew(
    control_plane: ControlPlane, kubectl: Kubectl, training: str, operator: OperatorProcess, tmp_path: Path
) -> None:
    pod = Speaker(control_plane, training, "a", operator, tmp_path)
    said = pod.progress(7)
    said["ranks"] = [{"rank": 1, "step": 7, "heartbeatAgeSeconds": 31.0}]
    assert pod.post(said) == 200
    status = wait_until(lambda: _second_attempt(kubectl, training), timeout_s=30)
    assert status["failure"]["reason"] == "RankStalled"
    assert (status["failure"]["rank"], status["failure"]["step"]) == (1, 7)


def _second_attempt(kubectl: Kubectl, namespace: str) -> dict[str, Any] | None:
    status: dict[str, Any] = kubectl.json("get", "trun", "a", "-n", namespace)["status"]
    return status if status["stages"]["train"].get("attempt") == 2 else None
