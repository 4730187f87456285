"""docs/guides: every right, metric and value is named, and what commands name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from trainwright_operator.metrics import Metrics
from trainwright_operator.store import Store

from tests.chart import CHART, ROOT, Key, Object

INSTALL = (ROOT / "docs" / "guides" / "install.md").read_text("utf-8")
KIND = (ROOT / "docs" / "guides" / "kind.md").read_text("utf-8")
VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))


def test_the_guide_tells_every_right_with_its_verbs(manifests: dict[Key, Object]) -> None:
    told = {
        (resource, verb)
        for resource, verbs in re.findall(r"^\| `([a-z/]+)` \| ([^|]+) \|", INSTALL, re.MULTILINE)
        for verb in re.findall(r"\b(create|get|list|watch|patch|update|delete)\b", verbs)
    }
    granted = {
        (resource, verb)
        for (kind, _, name), each in manifests.items()
        if kind in ("Role", "ClusterRole") and name.startswith("trainwright-operator")
        for rule in each["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert told == granted


def test_the_guide_tells_every_metric() -> None:
    families = Metrics().registry.collect()
    served = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert set(re.findall(r"^\| `(trainwright_\w+)` \|", INSTALL, re.MULTILINE)) == served
    assert b"trainwright_leading" in Metrics().page(Store())


@pytest.mark.parametrize("name", VALUES)
def test_the_guide_tells_every_group_of_values(name: str) -> None:
    table = "\n".join(line for line in INSTALL.splitlines() if line.startswith("| `"))
    assert re.search(rf"`{name}\b", table)


@pytest.mark.parametrize("guide", [INSTALL, KIND], ids=["install", "kind"])
def test_commands_name_files_values_and_targets_that_exist(guide: str) -> None:
    for path in re.findall(r"(?:-f |\s)((?:manifests|charts|examples)/[\w./-]*)", guide):
        assert (ROOT / path.rstrip(".")).exists(), path
    for value in re.findall(r"--set ([a-zA-Z.]+)=", guide):
        found = VALUES
        for part in value.split("."):
            assert part in found, value
            found = found[part]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake ([a-z]+)", guide):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_kind_gets_the_images_that_the_chart_names(usual: dict[Key, Object]) -> None:
    loaded = re.findall(r"ghcr\.io/\S+", KIND)
    text = str(usual)
    assert len(loaded) == 2
    assert all(image in text for image in loaded)


def test_the_readme_leads_to_the_guides() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for guide in Path(ROOT / "docs" / "guides").glob("*.md"):
        if guide.name in ("install.md", "kind.md"):
            assert f"docs/guides/{guide.name}" in readme
