"""The test cluster itself: that it starts, does what a cluster does, lets tests play its pods, and is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from testcluster import programs
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl, KubectlError, require_test_cluster
from testcluster.pods import FATE, Fate
from tests.controlplane.bare_job import bare_job, pods_of, wait_until

ROOT = Path(__file__).parents[2]


def test_a_pool_of_a100s_and_a_pool_without_gpus_are_ready(kubectl: Kubectl) -> None:
    a100s = kubectl.json("get", "nodes", "-l", "nvidia.com/gpu.product=A100-SXM4-80GB")["items"]
    assert {node["status"]["allocatable"]["nvidia.com/gpu"] for node in a100s} == {"8"}
    assert len(kubectl.json("get", "nodes")["items"]) > len(a100s)
    kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=1s")


def test_a_job_completes_when_its_pod_is_ended_with_a_termination_message(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job"))
    kubectl("wait", "-n", namespace, "--for=create", "pod", "-l", "job-name=job", "--timeout=10s")
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod", "-l", "job-name=job", "--timeout=10s")
    [pod] = pods_of(kubectl, namespace)
    control_plane.pods.end(namespace, pod["metadata"]["name"], Fate(message='{"stages": {}}'))
    kubectl("wait", "-n", namespace, "--for=condition=Complete", "job/job", "--timeout=10s")
    [pod] = pods_of(kubectl, namespace)
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, '{"stages": {}}')


def test_a_script_for_the_namespace_says_how_each_pod_ends(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    control_plane.pods.script(
        namespace, lambda pod: Fate(runs_s=0.1, exit_code=3, message=pod["metadata"]["labels"]["job-name"])
    )
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("a"))
    kubectl("wait", "-n", namespace, "--for=condition=Failed", "job/a", "--timeout=10s")
    [pod] = pods_of(kubectl, namespace)
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"], ended["reason"]) == (3, "a", "Error")


def test_an_annotation_keeps_a_pod_from_pulling_its_image(kubectl: Kubectl, namespace: str) -> None:
    fate = json.dumps({"waiting": "ImagePullBackOff", "waiting_message": "no such image"})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job", annotations={FATE: fate}))

    def waiting() -> list[dict[str, str]]:
        states = [pod["status"].get("containerStatuses") for pod in pods_of(kubectl, namespace)]
        return [state[0]["state"]["waiting"] for state in states if state]

    assert wait_until(waiting) == [{"reason": "ImagePullBackOff", "message": "no such image"}]


def test_a_deleted_pod_takes_its_time_and_ends_with_its_last_word(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    control_plane.pods.script(namespace, Fate(stops_after_s=1.5, stop_exit_code=75, stop_message="saved"))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job"))
    name = wait_until(lambda: _running(kubectl, namespace))
    began = time.monotonic()
    kubectl("delete", "pod", name, "-n", namespace, "--wait=false")
    changes = control_plane.api.follow(f"/api/v1/namespaces/{namespace}/pods", threading.Event())
    last = next(pod for kind, pod in changes if kind == "DELETED")
    changes.close()
    assert time.monotonic() - began > 1.5
    ended = last["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (last["metadata"]["name"], ended["exitCode"], ended["message"]) == (name, 75, "saved")


def test_a_pod_that_never_stops_is_let_go_when_the_test_is_over(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    control_plane.pods.script(namespace, Fate(stops_after_s=None))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job"))
    name = wait_until(lambda: _running(kubectl, namespace))
    with pytest.raises(KubectlError, match="timed out"):
        kubectl("delete", "pod", name, "-n", namespace, "--timeout=2s")
    control_plane.pods.release(namespace)
    kubectl("wait", "-n", namespace, "--for=delete", f"pod/{name}", "--timeout=10s")


def test_pods_of_a_lost_node_stay_and_are_told_by_kubernetes(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl(
        "apply", "-n", namespace, "-f", "-", stdin=bare_job("job", nodeSelector={"kubernetes.io/hostname": "cpu-2"})
    )
    name = wait_until(lambda: _running(kubectl, namespace))
    control_plane.lose_node("cpu-2")
    try:
        unreachable = '{.spec.taints[?(@.key=="node.kubernetes.io/unreachable")].key}'
        wait_until(lambda: kubectl("get", "node", "cpu-2", "-o", f"jsonpath={unreachable}"))
        with pytest.raises(KubectlError, match="timed out"):
            kubectl("delete", "pod", name, "-n", namespace, "--timeout=2s")
    finally:
        control_plane.find_node("cpu-2")
    kubectl("wait", "-n", namespace, "--for=delete", f"pod/{name}", "--timeout=10s")
    kubectl("wait", "--for=condition=Ready", "node/cpu-2", "--timeout=10s")


def test_namespaces_named_fast_are_left_to_kwok(control_plane: ControlPlane, kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "fast-one")
    kubectl("apply", "-n", "fast-one", "-f", "-", stdin=bare_job("job", pods=20))
    kubectl("wait", "-n", "fast-one", "--for=condition=Complete", "job/job", "--timeout=20s")
    kubectl("delete", "namespace", "fast-one", "--wait=false")


def test_pods_that_break_pod_security_are_refused(kubectl: Kubectl, namespace: str) -> None:
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        kubectl("run", "root", "-n", namespace, "--image=example/none")


def test_a_claim_is_bound_when_a_pod_wants_it_and_its_volume_goes_with_it(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=_claim("ReadWriteMany"))
    assert kubectl("get", "pvc/claim", "-n", namespace, "-o", "jsonpath={.status.phase}") == "Pending"
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job", volumes=[_VOLUME]))
    kubectl("wait", "-n", namespace, "--for=jsonpath={.status.phase}=Bound", "pvc/claim", "--timeout=10s")
    wait_until(lambda: _running(kubectl, namespace))
    volume = kubectl("get", "pvc/claim", "-n", namespace, "-o", "jsonpath={.spec.volumeName}")
    kubectl("delete", "job/job", "pvc/claim", "-n", namespace, "--timeout=10s")
    kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=10s")


def test_block_storage_refuses_to_be_shared(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=_claim("ReadWriteMany", storage_class="single"))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job", volumes=[_VOLUME]))
    events = ["get", "events", "-n", namespace, "--field-selector=reason=ProvisioningFailed", "-o", "name"]
    wait_until(lambda: kubectl(*events))


def test_a_service_account_s_token_is_reviewed_with_its_audience(control_plane: ControlPlane, namespace: str) -> None:
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    control_plane.api.post(account, {"metadata": {"name": "pod"}})
    asked = {"spec": {"audiences": ["run-a"], "expirationSeconds": 600}}
    token = control_plane.api.post(f"{account}/pod/token", asked)["status"]["token"]
    for audience, expected in (("run-a", True), ("run-b", None)):
        review = {"spec": {"token": token, "audiences": [audience]}}
        found = control_plane.api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        assert found["status"].get("authenticated") is expected


def test_a_service_account_has_no_rights_and_its_writes_are_in_the_audit_log(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    _, place = control_plane.audit_events()
    weak = Kubectl(kubectl.program, control_plane.kubeconfig_of(namespace, "default"))
    with pytest.raises(KubectlError, match="cannot create resource"):
        weak("create", "configmap", "mine", "-n", namespace)
    events, _ = control_plane.audit_events(since=place)
    mine = [e for e in events if e["user"]["username"] == f"system:serviceaccount:{namespace}:default"]
    assert ("create", "configmaps", 403) in {
        (e["verb"], e.get("objectRef", {}).get("resource"), e["responseStatus"]["code"]) for e in mine
    }


def test_the_api_server_comes_back_at_the_same_address_with_everything_in_it(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "configmap", "kept", "-n", namespace)
    control_plane.stop_apiserver()
    with pytest.raises(KubectlError, match="refused"):
        kubectl("get", "nodes")
    control_plane.start_apiserver()
    kubectl("get", "configmap", "kept", "-n", namespace)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=bare_job("job"))
    wait_until(lambda: _running(kubectl, namespace), timeout_s=40)


def test_only_a_cluster_made_for_tests_is_accepted(control_plane: ControlPlane, kubectl: Kubectl) -> None:
    require_test_cluster(kubectl)
    kubectl("label", "namespace", "kube-system", "trainwright.dev/test-cluster-")
    try:
        with pytest.raises(RuntimeError, match="is no test cluster"):
            require_test_cluster(kubectl)
    finally:
        kubectl("label", "namespace", "kube-system", "trainwright.dev/test-cluster=true")


_OWNER = """
import time
from testcluster.control_plane import ControlPlane
with ControlPlane() as cluster:
    print(cluster.folder, *cluster.process_ids().values(), flush=True)
    input()
"""


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_nothing_is_left_of_a_cluster_whose_owner_is(kill: bool, control_plane: ControlPlane) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None and owner.stdout is not None
    folder, *ids = owner.stdout.readline().split()
    assert len(ids) == 5 and all(Path(f"/proc/{number}").exists() for number in ids)
    if kill:
        owner.send_signal(signal.SIGKILL)
    else:
        owner.stdin.write("\n")
        owner.stdin.flush()
    owner.wait(timeout=20)
    owner.stdin.close()
    owner.stdout.close()
    wait_until(lambda: not any(_alive(int(number)) for number in ids))
    if kill:
        # Nobody was left to remove the folder: the next cluster does.
        with ControlPlane():
            pass
    assert not Path(folder).exists()
    assert control_plane.folder.exists()


def test_a_cluster_kept_running_for_a_person_can_be_used_and_taken_down(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "programs").symlink_to(programs.cache_folder() / "programs")
    environment = os.environ | {programs.CACHE: str(tmp_path)}

    def testcluster(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "testcluster", command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert testcluster("kubeconfig").returncode == 1
    try:
        told = testcluster("up").stdout.split("\n")[-2]
        kubectl = Kubectl(control_plane.programs["kubectl"], Path(told.removeprefix("export KUBECONFIG=")))
        require_test_cluster(kubectl)
        assert testcluster("up").stdout.strip() == told
        assert testcluster("kubeconfig").stdout.strip() == str(kubectl.kubeconfig)
    finally:
        assert testcluster("down").returncode == 0
    assert testcluster("kubeconfig").returncode == 1
    assert [path.name for path in (tmp_path / "clusters").iterdir() if path.is_dir()] == []


_VOLUME = {"name": "work", "persistentVolumeClaim": {"claimName": "claim"}}


def _claim(mode: str, *, storage_class: str | None = None) -> str:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return json.dumps(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim"}, "spec": spec}
    )


def _running(kubectl: Kubectl, namespace: str) -> str:
    pods = pods_of(kubectl, namespace)
    return next((pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"), "")


def _alive(number: int) -> bool:
    """Whether a process runs: one that ended and waits for its parent to look does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
