"""What the documents must say: every stage, command and exit code, in few enough lines, and nothing of one machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from trainwright import errors
from trainwright.api import Spec
from trainwright.cli import app
from trainwright.contract import STAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
WAY = (ROOT / "docs/way_of_a_run.md").read_text("utf-8")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
REASONS = sorted(
    {
        kind.reason
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.TrainwrightError)
    }
)
COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands if command.callback)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(root|home|work|tmp|Users|opt)/")
REGISTRIES = re.compile(r"pythonhosted|pypi\.(?!org/project/)|(registry|proxy|mirror|index)\.[a-z]+\.(com|org|io|dev)")


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_the_readme_and_the_way_of_a_run_name_every_stage(stage: str) -> None:
    assert re.search(rf"^ *((model|sources) ─+► )?{stage} ", README, re.MULTILINE)
    assert re.search(rf"^## \d\. {stage}$", WAY, re.MULTILINE)


def test_the_way_of_a_run_tells_the_stages_in_the_order_they_run() -> None:
    assert re.findall(r"^## \d\. (\w+)$", WAY, re.MULTILINE) == [stage.name for stage in STAGES]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_command(command: str) -> None:
    assert f"| `trainwright {command}" in README


@pytest.mark.parametrize("reason", REASONS)
def test_the_way_of_a_run_names_every_reason_a_run_can_fail_for(reason: str) -> None:
    assert re.search(rf"\b{reason}\b", WAY)


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.startswith("EXIT_")])
def test_the_readme_and_the_way_of_a_run_name_every_exit_code(name: str) -> None:
    code = getattr(errors, name)
    assert re.search(rf"\b{code} [a-z]", README.partition("Exit codes:")[2])
    assert f"\n| {code} |" in WAY


def test_every_reason_stands_beside_its_exit_code() -> None:
    table = {int(row[0]): row[1] for row in re.findall(r"^\| (\d+) \| ([^|]*) \|", WAY, re.MULTILINE)}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.TrainwrightError):
            assert kind.reason in table[kind.exit_code]


def test_the_architecture_names_every_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip().removeprefix("trainwright.") for layer in layers for name in layer.split("|")}
    diagram = (ROOT / "docs/architecture.md").read_text("utf-8").split("```")[1]
    assert named - {"__main__"} - set(re.findall(r"\w+", diagram)) == set()


def test_the_run_in_the_readme_is_valid() -> None:
    document = yaml.safe_load(README.partition("```yaml\n")[2].partition("```")[0])
    Spec.model_validate(document["spec"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_no_machine_and_no_registry(document: Path) -> None:
    text = document.read_text("utf-8")
    assert not MACHINE_PATHS.search(text)
    assert not REGISTRIES.search(text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


def test_make_targets_in_contributing_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make ([a-z]+)`", (ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
