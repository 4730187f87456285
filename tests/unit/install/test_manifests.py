"""manifests/: rights without wildcards, containers that Pod Security restricted admits, samples that run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from trainwright.api import Spec, problems_of_object, unbuilt
from trainwright_operator import certificates, names
from trainwright_operator.cluster import PLURALS
from trainwright_operator.settings import Settings

from tests.chart import CHART, MANIFESTS, SYSTEM, Key, Object, by_key, containers

SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))
OPERATOR_ROLES = ("trainwright-operator", f"trainwright-operator:{SYSTEM}", f"trainwright-operator-tokens:{SYSTEM}")
ALWAYS_WIDE = ("trainwright-edit", "trainwright-view")


def rules(objects: dict[Key, Object], *roles: str) -> list[dict[str, Any]]:
    """The rules of the roles of these names."""
    return [
        rule
        for (kind, _, name), each in objects.items()
        if kind in ("Role", "ClusterRole") and name in roles
        for rule in each["rules"]
    ]


def test_no_right_has_a_wildcard(manifests: dict[Key, Object]) -> None:
    for rule in rules(manifests, *OPERATOR_ROLES, *ALWAYS_WIDE):
        assert "*" not in str(rule), rule
        assert rule["verbs"]
        assert rule["resources"]


def test_the_operator_has_no_right_to_read_secrets_or_to_give_rights(manifests: dict[Key, Object]) -> None:
    cluster = rules(manifests, *OPERATOR_ROLES[1:])
    assert [rule["verbs"] for rule in cluster if "secrets" in rule["resources"]] == [["create"]]
    all_rules = rules(manifests, *OPERATOR_ROLES)
    assert not [rule for rule in all_rules if "rbac.authorization.k8s.io" in rule["apiGroups"]]
    assert not {"escalate", "bind", "impersonate", "deletecollection"} & {
        v for rule in all_rules for v in rule["verbs"]
    }
    assert not [
        r for rule in all_rules for r in rule["resources"] if r in ("pods/exec", "serviceaccounts/token", "nodes")
    ]


def test_in_its_own_namespace_the_operator_reaches_only_what_is_its_own(manifests: dict[Key, Object]) -> None:
    own = rules(manifests, OPERATOR_ROLES[0])
    named = {(rule["resources"][0], *rule["resourceNames"]) for rule in own if "resourceNames" in rule}
    assert named == {("leases", Settings().lease), ("secrets", certificates.SECRET)}
    assert all(rule["verbs"] == ["create"] for rule in own if "resourceNames" not in rule)


def test_every_kind_the_operator_writes_is_granted(manifests: dict[Key, Object]) -> None:
    granted = {resource for rule in rules(manifests, *OPERATOR_ROLES) for resource in rule["resources"]}
    assert granted == {*PLURALS.values(), f"{names.PLURAL}/status"}


def test_editors_may_write_runs_and_viewers_only_read_them(manifests: dict[Key, Object]) -> None:
    edit, view = (manifests["ClusterRole", "", name] for name in ALWAYS_WIDE)
    prefix = "rbac.authorization.k8s.io/aggregate-to"
    assert f"{prefix}-view" not in edit["metadata"]["labels"]
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert all("status" not in resource for rule in edit["rules"] for resource in rule["resources"])


def test_pod_security_restricted_admits_every_container(manifests: dict[Key, Object]) -> None:
    found = list(containers(manifests))
    assert found
    for pod, container in found:
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    assert manifests["Namespace", "", SYSTEM]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_every_container_asks_for_what_it_is_limited_to(manifests: dict[Key, Object]) -> None:
    for _, container in containers(manifests):
        wanted = container["resources"]
        assert wanted["requests"] == wanted["limits"]
        assert set(wanted["limits"]) == {"cpu", "memory", "ephemeral-storage"}


def test_only_one_operator_runs_at_a_time(manifests: dict[Key, Object]) -> None:
    spec = manifests["Deployment", SYSTEM, "trainwright-operator"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_service_reaches_the_ports_that_pods_and_prometheus_are_told(manifests: dict[Key, Object]) -> None:
    service = manifests["Service", SYSTEM, "trainwright-operator"]["spec"]
    ((_, container),) = containers(manifests)
    listens = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert listens == {"progress": Settings().progress_port, "metrics": Settings().metrics_port}
    # A network policy of a run sees the pod's port, so the Service must not translate it.
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == listens
    template = manifests["Deployment", SYSTEM, "trainwright-operator"]["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()


def test_the_namespace_is_applied_before_what_is_in_it() -> None:
    first = sorted(MANIFESTS.glob("*.yaml"))[0]
    assert [key[0] for key in by_key(first.read_text("utf-8"))] == ["Namespace"]


def test_kustomize_takes_every_file() -> None:
    listed = yaml.safe_load((MANIFESTS / "Kustomization").read_text("utf-8"))["resources"]
    assert listed == sorted(path.name for path in MANIFESTS.glob("*.yaml"))


def test_the_chart_holds_the_same_crd() -> None:
    assert (CHART / "files" / "crd.yaml").read_bytes() == (MANIFESTS / "crd.yaml").read_bytes()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_valid_on_a_cluster_and_needs_nothing_unbuilt(sample: Path) -> None:
    body = yaml.safe_load(sample.read_text("utf-8"))
    assert problems_of_object(body) == []
    assert unbuilt(Spec.model_validate(body["spec"])) == []


def test_samples_are_not_applied_with_the_operator(manifests: dict[Key, Object]) -> None:
    assert names.KIND not in {kind for kind, _, _ in manifests}


def test_helm_finds_nothing_to_complain_about(helm: Path) -> None:
    done = subprocess.run([str(helm), "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
