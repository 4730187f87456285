"""The CRD made from the models: structural, bounded, described, without defaults, and equal to manifests/crd.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from trainwright import api
from trainwright.api.descriptions import descriptions
from trainwright.api.reference import pages
from trainwright.api.rules import ApiModel
from trainwright.api.schema import crd
from trainwright.api.walk import fields, rules_of

ROOT = Path(__file__).parents[3]
PAGES = pages()
CRD = "manifests/crd.yaml"
(VERSION,) = crd()["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, member in node.get("properties", {}).items():
        yield from nodes(member, f"{path}.{name}".removeprefix("."))
    for part in ("items", "additionalProperties"):
        if part in node:
            yield from nodes(node[part], f"{path}[]")


def models(model: type[ApiModel]) -> Iterator[type[ApiModel]]:
    yield model
    for inner in fields(model).values():
        if inner is not None:
            yield from models(inner)


OURS = [(path, node) for path, node in nodes(SCHEMA) if path.startswith(("spec", "status"))]


@pytest.mark.parametrize("file", PAGES)
def test_a_generated_file_is_current(file: str) -> None:
    assert (ROOT / file).read_text("utf-8") == PAGES[file], "run `make reference`"


def test_the_crd_is_small_enough_to_apply() -> None:
    assert len(PAGES[CRD].encode()) <= 200 * 1024


def test_the_crd_is_structural() -> None:
    for path, node in OURS:
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "allOf", "oneOf", "const", "title", "default", "nullable"} & node.keys(), path
        assert node.get("anyOf") in (None, [{"type": "integer"}, {"type": "string"}]), path
        assert not ("properties" in node and "additionalProperties" in node), path


def test_everything_is_bounded() -> None:
    """The API server refuses rules whose cost it cannot bound."""
    for path, node in OURS:
        if node.get("type") == "string":
            assert "maxLength" in node or "enum" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_every_field_is_described() -> None:
    for model in {*models(api.Spec), *models(api.Status)}:
        texts = descriptions(model)
        assert texts.keys() == fields(model).keys(), model
        for name, text in texts.items():
            assert text.endswith((".", "…")), (model, name, text)
        assert model.__doc__


def test_defaults_are_told_and_never_set() -> None:
    training = SCHEMA["properties"]["spec"]["properties"]["training"]["properties"]
    assert training["warmup"]["description"].endswith("Default: 0.03.")
    assert training["schedule"]["description"].endswith("Default: Cosine.")
    assert "2e-5 for all weights" in training["learningRate"]["description"]


def test_every_rule_is_in_the_crd() -> None:
    told = [rule for _, node in nodes(SCHEMA) for rule in node.get("x-kubernetes-validations", [])]
    texts = {rule["rule"] for rule in told}
    for _, rule in rules_of(api.Spec):
        assert rule.cel in texts
    assert all(rule["message"] and rule["reason"] for rule in told)


def test_one_of_few_is_an_enumeration_that_yaml_leaves_alone() -> None:
    booleans = {"true", "false", "yes", "no", "on", "off", "y", "n"}
    values = {value for path, node in OURS if not path.startswith("status.cond") for value in node.get("enum", [])}
    assert values & {"Cosine", "bf16", "Fail"}
    assert not {value.lower() for value in values} & booleans


def test_kubectl_shows_the_columns_people_look_for() -> None:
    columns = [(column["name"], column.get("priority", 0)) for column in VERSION["additionalPrinterColumns"]]
    assert [name for name, wide in columns if not wide] == [
        "Phase",
        "Stage",
        "Progress",
        "ETA",
        "Loss",
        "Reason",
        "Age",
    ]
    assert [name for name, wide in columns if wide] == ["GPUs", "Queue", "Checkpoint", "Message"]
    paths = {path for path, _ in nodes(SCHEMA)}
    for column in VERSION["additionalPrinterColumns"]:
        assert column["jsonPath"].removeprefix(".") in paths or column["jsonPath"].startswith(".metadata"), column


def test_kubectl_finds_runs_by_short_names_phase_and_queue() -> None:
    names = crd()["spec"]["names"]
    assert (names["shortNames"], names["categories"]) == (["trun"], ["trainwright"])
    assert [field["jsonPath"] for field in VERSION["selectableFields"]] == [".status.phase", ".spec.cluster.queueName"]
    assert VERSION["subresources"] == {"status": {}}


def test_the_written_crd_is_what_is_made() -> None:
    assert yaml.load(PAGES[CRD], getattr(yaml, "CSafeLoader", yaml.SafeLoader)) == crd()


def test_the_reference_names_every_field() -> None:
    for root, page in (("spec", "docs/reference/trainingrun.md"), ("status", "docs/reference/status.md")):
        for path, node in nodes(SCHEMA["properties"][root]):
            shared = path.split(".")
            if len(shared) > 2 and "stages" in shared:
                shared[shared.index("stages") + 1] = "*"
            name = ".".join(shared)
            if path and "properties" not in node and not path.endswith("[]"):
                assert f"`{name}`" in PAGES[page], path


def test_statuses_as_kubectl_shows_them_are_valid() -> None:
    for file in sorted((ROOT / "tests/data/api/status").glob("*.yaml")):
        value = yaml.load(file.read_text("utf-8"), yaml.BaseLoader)
        assert value["status"]["phase"], file
    training = (ROOT / "tests/data/api/status/training.yaml").read_text("utf-8")
    status = api.Status.model_validate(yaml.safe_load(training)["status"])
    assert status.progress is not None
    assert status.progress.validation_loss == 1.3391
    assert status.stages is not None
    assert status.stages.train is not None
    assert status.stages.train.attempt == 2
