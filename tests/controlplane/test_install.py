"""Installed as docs/guides/install.md says, on a cluster of its own: by kubectl, by Helm, for some namespaces, and away
again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testcluster import programs
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from tests.chart import CHART, MANIFESTS, SYSTEM
from tests.controlplane.bare_job import wait_until
from tests.controlplane.operator_process import SPEC, OperatorProcess, failing, script, training_run, wait_for

ACCOUNT = "trainwright-operator"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
RUN, FIRST = "trainwright.dev/run", "trainingrun.trainwright.dev/chat"
CRD = "crd/trainingruns.trainwright.dev"
Helm = Callable[..., str]


@pytest.fixture(scope="module")
def control_plane(needs: Callable[[str], str]) -> Iterator[ControlPlane]:
    """A cluster that knows nothing of TrainingRuns yet; the session's has them installed already."""
    if any(programs.find(name) is None for name in programs.CONTROL_PLANE):
        needs("go")
    with ControlPlane() as cluster:
        yield cluster


@pytest.fixture
def applied(kubectl: Kubectl) -> Iterator[str]:
    """What `kubectl apply -f manifests/` says; all but the namespace, which takes long to go, is deleted afterwards."""
    yield kubectl("apply", "-f", str(MANIFESTS))
    files = [f"--filename={path}" for path in MANIFESTS.glob("*.yaml") if path.name != "00-namespace.yaml"]
    kubectl("delete", "--ignore-not-found", "--timeout=60s", *files)


@pytest.fixture
def helm(control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> Iterator[Helm]:
    """helm as the administrator; what it leaves is deleted afterwards."""
    places = {f"HELM_{kind}_HOME": str(tmp_path / kind) for kind in ("CACHE", "CONFIG", "DATA")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(control_plane.programs["helm"]), *arguments, "-n", SYSTEM],
            env=os.environ | places | {"KUBECONFIG": str(control_plane.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    run("uninstall", "trainwright", "--ignore-not-found", "--wait")
    kubectl("delete", "--ignore-not-found", "--timeout=60s", CRD)
    kubectl("delete", "--ignore-not-found", "clusterrole/trainwright-edit", "clusterrole/trainwright-view")


def install(helm: Helm, *arguments: str, chart: Path = CHART) -> str:
    """Install a chart as the guide says."""
    return helm("install", "trainwright", str(chart), "--create-namespace", "--wait", "--timeout=60s", *arguments)


def may(kubectl: Kubectl, user: str, namespace: str, verb: str, resource: str, *options: str) -> bool:
    """Whether a user has a right in a namespace."""
    asked = kubectl.run("auth", "can-i", verb, resource, "-n", namespace, f"--as={user}", *options)
    return asked.stdout.strip() == "yes"


def refused(control_plane: ControlPlane, since: int) -> list[str]:
    """Requests of the operator that the API server did not allow."""
    events, _ = control_plane.audit_events(since=since)
    asked = [event for event in events if event["user"]["username"] == USER]
    assert len(asked) > 20, "the operator worked under another account"
    return [f"{e['verb']} {e['requestURI']}" for e in asked if e.get("responseStatus", {}).get("code") == 403]


def test_kubectl_apply_installs_everything_in_one_go(kubectl: Kubectl, applied: str) -> None:
    assert "deployment.apps/trainwright-operator created" in applied
    kubectl("rollout", "status", "-n", SYSTEM, "deployment/trainwright-operator", "--timeout=60s")
    again = kubectl("apply", "-f", str(MANIFESTS)).splitlines()
    assert [line for line in again if not line.endswith("unchanged")] == []


def test_kubectl_apply_k_installs_the_same(kubectl: Kubectl, applied: str) -> None:
    built = kubectl("diff", "-k", str(MANIFESTS))
    assert built == ""


def test_the_samples_are_accepted(kubectl: Kubectl, namespace: str, applied: str) -> None:
    kubectl("wait", "--for=condition=Established", CRD, "--timeout=30s")
    created = kubectl("apply", "-n", namespace, "--dry-run=server", "-f", str(MANIFESTS / "samples"))
    assert created.count("created (server dry run)") == len(list((MANIFESTS / "samples").glob("*.yaml")))


def test_editors_of_a_namespace_may_start_runs_and_viewers_may_look(
    kubectl: Kubectl, namespace: str, applied: str
) -> None:
    for user in ("edit", "view"):
        kubectl("create", "rolebinding", user, "-n", namespace, f"--clusterrole={user}", f"--user={user}")
    wait_until(lambda: may(kubectl, "edit", namespace, "create", "trainingruns.trainwright.dev"))
    wait_until(lambda: may(kubectl, "view", namespace, "watch", "trainingruns.trainwright.dev"))
    assert not may(kubectl, "view", namespace, "create", "trainingruns.trainwright.dev")
    assert not may(kubectl, "edit", namespace, "patch", "trainingruns.trainwright.dev", "--subresource=status")


def test_the_operator_needs_no_more_than_its_rights(
    control_plane: ControlPlane, kubectl: Kubectl, applied: str, corpus: str
) -> None:
    def train(pod: dict[str, Any], attempt: int) -> Any:
        return failing("RankCrashed", rank=1) if attempt == 1 and pod["metadata"]["labels"][RUN] == "chat" else None

    control_plane.pods.script(corpus, script(train=train))
    _, since = control_plane.audit_events()
    with OperatorProcess(control_plane, kubeconfig=control_plane.kubeconfig_of(SYSTEM, ACCOUNT)):
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
        status = wait_for(kubectl, corpus, "chat", phase="Complete", timeout_s=60)
        assert status["stages"]["train"]["attempt"] == 2
        shared = {**SPEC, "cluster": {"workspace": {"claimName": "chat-workspace"}}, "ttlSecondsAfterFinished": 0}
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("again", shared))
        wait_until(lambda: kubectl("get", "trun", "-n", corpus, "-o", "name").split() == [FIRST], timeout_s=60)
    assert refused(control_plane, since) == []


def test_helm_installs_an_operator_and_tells_the_next_command(kubectl: Kubectl, helm: Helm) -> None:
    said = install(helm)
    assert "kubectl apply -n default -f manifests/samples/first-run.yaml" in said
    available = "jsonpath={.status.availableReplicas}"
    assert kubectl("get", "deployment", ACCOUNT, "-n", SYSTEM, "-o", available) == "1"
    assert may(kubectl, USER, "default", "create", "jobs.batch")
    assert may(kubectl, USER, "default", "create", "tokenreviews")
    assert not may(kubectl, USER, "default", "get", "secrets")


def test_an_upgrade_brings_new_values_and_the_new_resource(kubectl: Kubectl, helm: Helm, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(CHART, older)
    definition = older / "files" / "crd.yaml"
    text = definition.read_text("utf-8")
    definition.write_text(text.replace("    categories:\n    - trainwright\n", ""), "utf-8")
    assert definition.read_text("utf-8") != text
    install(helm, chart=older)
    kubectl("apply", "-n", "default", "-f", "-", stdin=training_run("kept"))
    helm("upgrade", "trainwright", str(CHART), "--set", "workspace.accessMode=ReadWriteOnce", "--wait", "--timeout=60s")
    assert kubectl("get", CRD, "-o", "jsonpath={.spec.names.categories}") == '["trainwright"]'
    pod = kubectl.json("get", "deployment", ACCOUNT, "-n", SYSTEM)["spec"]["template"]["spec"]
    assert {"name": "TRAINWRIGHT_ACCESS_MODE", "value": "ReadWriteOnce"} in pod["containers"][0]["env"]
    assert kubectl("get", "trun", "-n", "default", "-o", "name").split() == ["trainingrun.trainwright.dev/kept"]


def test_helm_uninstall_deletes_no_run_and_helm_install_finds_it_again(kubectl: Kubectl, helm: Helm) -> None:
    install(helm)
    kubectl("apply", "-n", "default", "-f", "-", stdin=training_run("kept"))
    helm("uninstall", "trainwright", "--wait")
    assert "trainingrun.trainwright.dev/kept" in kubectl("get", "trun", "-n", "default", "-o", "name")
    roles = kubectl("get", "clusterroles", "-o", "name").split()
    mine = [role.partition("/")[2] for role in roles if "/trainwright" in role]
    assert mine == ["trainwright-edit", "trainwright-view"]
    assert kubectl("get", "deployments,services,rolebindings", "-n", SYSTEM, "-o", "name") == ""
    install(helm)
    assert "trainingrun.trainwright.dev/kept" in kubectl("get", "trun", "-n", "default", "-o", "name")


def test_a_release_takes_over_what_kubectl_applied(kubectl: Kubectl, helm: Helm) -> None:
    kubectl("apply", "-f", str(MANIFESTS))
    kubectl("apply", "-n", "default", "-f", "-", stdin=training_run("kept"))
    install(helm, "--take-ownership")
    assert "trainingrun.trainwright.dev/kept" in kubectl("get", "trun", "-n", "default", "-o", "name")
    helm("uninstall", "trainwright", "--wait")
    assert "trainingrun.trainwright.dev/kept" in kubectl("get", "trun", "-n", "default", "-o", "name")


def test_for_some_namespaces_the_operator_serves_those_alone(
    control_plane: ControlPlane, kubectl: Kubectl, helm: Helm, corpus: str
) -> None:
    install(helm, "--set", f"watchNamespaces={{{corpus}}}")
    assert may(kubectl, USER, corpus, "create", "jobs.batch")
    assert not may(kubectl, USER, "default", "create", "jobs.batch")
    assert not may(kubectl, USER, "default", "list", "trainingruns.trainwright.dev")
    control_plane.pods.script(corpus, script())
    _, since = control_plane.audit_events()
    account = control_plane.kubeconfig_of(SYSTEM, ACCOUNT)
    with OperatorProcess(control_plane, kubeconfig=account, TRAINWRIGHT_WATCHED=corpus):
        kubectl("apply", "-n", "default", "-f", "-", stdin=training_run("elsewhere"))
        kubectl("apply", "-n", corpus, "-f", "-", stdin=training_run("chat"))
        wait_for(kubectl, corpus, "chat", phase="Complete", timeout_s=60)
    assert "status" not in json.loads(kubectl("get", "trun", "elsewhere", "-n", "default", "-o", "json"))
    assert refused(control_plane, since) == []
