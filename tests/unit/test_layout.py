"""The shape of the repository: source roots, sizes of files, and layers that say what exists."""

from __future__ import annotations

import operator
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for folder in ("operator", "trainer_image", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))
]
LARGEST_FILE_LINES = 400
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "manager", "base", "types", "misc"}


def test_the_source_roots_are_no_packages() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "trainer_image" / "__init__.py").exists()
    assert operator.__file__ is None or "trainwright" not in operator.__file__
    assert operator.add(1, 1) == 2


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_file_has_more_than_400_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LARGEST_FILE_LINES


def test_names_of_modules_say_what_is_in_them() -> None:
    assert not [path for path in SOURCES if path.stem in VAGUE_NAMES or path.parent.name in VAGUE_NAMES]


def test_every_module_and_package_opens_with_what_it_is() -> None:
    sources = [path for path in SOURCES if "trainwright" in path.parts or "trainwright_operator" in path.parts]
    assert not [path for path in sources if not path.read_text("utf-8").startswith('"""')]


def test_every_layer_that_is_checked_exists() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip().removeprefix("trainwright.") for layer in layers for name in layer.split("|")}
    package = ROOT / "trainer_image" / "trainwright"
    found = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - named == {"__init__"}
