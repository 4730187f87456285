"""The chart: what its values change, what it refuses, and that it installs what manifests/ installs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from trainwright_operator.settings import Settings, from_environment

from tests.chart import CHART, SYSTEM, HelmError, Key, Object, containers, rendered, without_helm

VALUES = (CHART / "values.yaml").read_text("utf-8")
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
CRD: Key = ("CustomResourceDefinition", "", "trainingruns.trainwright.dev")
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
TEAMS = ("--set", "watchNamespaces={team-a,team-b}")


def variables(objects: dict[Key, Object]) -> dict[str, str]:
    ((_, container),) = containers(objects)
    return {each["name"]: each.get("value", "from the pod") for each in container["env"]}


def test_the_chart_and_the_manifests_install_the_same_objects(
    usual: dict[Key, Object], manifests: dict[Key, Object]
) -> None:
    chart = without_helm(usual)
    assert manifests.keys() - chart.keys() == {("Namespace", "", SYSTEM)}, "--create-namespace makes it"
    assert not chart.keys() - manifests.keys()
    for key in chart:
        assert chart[key] == manifests[key], key


def test_the_operator_reads_the_settings_it_is_given(usual: dict[Key, Object]) -> None:
    given = variables(usual)
    settings = from_environment(given)
    assert settings.trainer_image == Settings().trainer_image
    assert settings.weaviate_image == Settings().weaviate_image
    assert settings.progress_url == f"https://trainwright-operator.{SYSTEM}.svc:{Settings().progress_port}"
    assert settings.pod_uid == 10001
    assert settings.watched == ()
    assert settings.access_mode is None


def test_values_become_settings(helm: Path) -> None:
    chart = rendered(helm, *TEAMS, "--set", "workspace.accessMode=ReadWriteOnce,pods.userId=null", namespace="ops")
    settings = from_environment(variables(chart))
    assert settings.watched == ("team-a", "team-b")
    assert settings.access_mode == "ReadWriteOnce"
    assert settings.pod_uid is None
    assert settings.progress_url == "https://trainwright-operator.ops.svc:8443"


def test_large_user_ids_stay_whole(helm: Path) -> None:
    assert variables(rendered(helm, "--set", "pods.userId=1000660000"))["TRAINWRIGHT_POD_UID"] == "1000660000"


@pytest.mark.parametrize(
    ("value", "variable"),
    [("trainer.image", "TRAINWRIGHT_TRAINER_IMAGE"), ("weaviate.image", "TRAINWRIGHT_WEAVIATE_IMAGE"), ("image", "")],
)
def test_a_digest_wins_over_a_tag(helm: Path, value: str, variable: str) -> None:
    chart = rendered(helm, "--set", f"{value}.repository=here/it,{value}.tag=v1,{value}.digest={DIGEST}")
    ((_, container),) = containers(chart)
    found = variables(chart)[variable] if variable else container["image"]
    assert found == f"here/it@{DIGEST}"


def test_where_the_operator_goes_is_a_value(helm: Path, tmp_path: Path) -> None:
    values = {
        "priorityClassName": "high",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists", "effect": "NoSchedule"}],
        "imagePullSecrets": [{"name": "registry"}],
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    ((pod, _),) = containers(rendered(helm, "-f", str(tmp_path / "values.yaml")))
    assert {name: pod[name] for name in values} == values


def test_served_namespaces_get_roles_and_the_cluster_none_but_for_tokens(helm: Path) -> None:
    chart = rendered(helm, *TEAMS)
    wide = [name for kind, _, name in chart if kind == "ClusterRoleBinding"]
    assert wide == [f"trainwright-operator-tokens:{SYSTEM}"]
    assert {space for kind, space, _ in chart if kind == "Role"} == {"team-a", "team-b", SYSTEM}
    everywhere = rendered(helm)["ClusterRole", "", f"trainwright-operator:{SYSTEM}"]
    for team in ("team-a", "team-b"):
        role = chart["Role", team, f"trainwright-operator:{SYSTEM}"]
        binding = chart["RoleBinding", team, f"trainwright-operator:{SYSTEM}"]
        assert role["rules"] == everywhere["rules"]
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "trainwright-operator", "namespace": SYSTEM}]


def test_a_team_without_rights_on_the_cluster_can_install_it(helm: Path) -> None:
    chart = rendered(
        helm, "--set", "watchNamespaces={team-a},crds.install=false,progress.enabled=false", namespace="team-a"
    )
    assert {space for _, space, _ in chart} == {"team-a"}


def test_without_progress_pods_have_nowhere_to_report(helm: Path) -> None:
    chart = rendered(helm, "--set", "progress.enabled=false")
    assert from_environment(variables(chart)).progress_url is None
    assert "tokenreviews" not in str(chart)
    assert "trainwright-operator-ca" not in str(chart)
    assert [port["name"] for port in chart["Service", SYSTEM, "trainwright-operator"]["spec"]["ports"]] == ["metrics"]


def test_the_crd_is_kept_unless_a_value_says_otherwise(helm: Path, usual: dict[Key, Object]) -> None:
    policy = "helm.sh/resource-policy"
    stay = {key[2] for key, each in usual.items() if each["metadata"].get("annotations", {}).get(policy) == "keep"}
    assert stay == {CRD[2], "trainwright-edit", "trainwright-view"}
    assert policy not in str(rendered(helm, "--set", "crds.keep=false"))
    assert CRD not in rendered(helm, "--set", "crds.install=false")


def test_two_releases_do_not_meet(helm: Path) -> None:
    one = rendered(helm, *TEAMS, namespace="one")
    other = rendered(helm, *TEAMS, "--set", "crds.install=false", namespace="other")
    assert not one.keys() & other.keys()


def test_prometheus_is_told_only_if_asked(helm: Path, usual: dict[Key, Object]) -> None:
    assert "ServiceMonitor" not in {kind for kind, _, _ in usual}
    chart = rendered(helm, "--set", "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.labels.release=p")
    monitor = chart["ServiceMonitor", SYSTEM, "trainwright-operator"]
    service = chart["Service", SYSTEM, "trainwright-operator"]
    assert monitor["metadata"]["labels"]["release"] == "p"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("replicas=2", "replicas"),
        ("image.registry=here", "registry"),
        ("trainer.image.name=x", "name"),
        ("crds.delete=true", "delete"),
        ("metrics.enabled=true", "enabled"),
        ("resources.requests.gpu=1", "gpu"),
        ("workspace.accessMode=ReadOnlyMany", "accessMode"),
        ("image.digest=latest", "digest"),
        ("pods.userId=0", "userId"),
        ("watchNamespaces={Team}", "watchNamespaces"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(helm: Path, value: str, named: str) -> None:
    with pytest.raises(HelmError, match=named):
        rendered(helm, "--set", value)


def test_the_schema_refuses_unknown_keys_at_every_level() -> None:
    open_ones = [path for path, node in _groups(SCHEMA, "") if "additionalProperties" not in node]
    assert open_ones == ["properties.global"]


def test_the_schema_and_the_values_have_the_same_keys() -> None:
    values = yaml.safe_load(VALUES)
    assert set(values) == set(SCHEMA["properties"]) - {"global"}
    for name, value in values.items():
        if isinstance(value, dict) and "properties" in SCHEMA["properties"][name]:
            assert set(value) == set(SCHEMA["properties"][name]["properties"]), name


def test_every_group_of_values_is_described() -> None:
    lines = VALUES.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[a-zA-Z]+:", line) and lines[number - 1] == "":
            assert re.match(r"metrics:", line), line


def test_the_notes_tell_the_next_command() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text("utf-8")
    assert "kubectl apply" in notes
    assert "kubectl get trun" in notes


def test_the_version_of_the_chart_is_that_of_the_product() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = (CHART.parents[1] / "pyproject.toml").read_text("utf-8")
    assert f'\nversion = "{chart["version"]}"\n' in project
    assert chart["appVersion"] == chart["version"]


def _groups(node: Any, path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if isinstance(node, dict):
        if node.get("type") == "object":
            found.append((path, node))
        for name, value in node.items():
            found += _groups(value, f"{path}.{name}".removeprefix("."))
    return found
