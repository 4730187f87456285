"""What goes into the images: pinned versions, any user id, nothing written but where it may be.

Building them takes minutes; `make images` does.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
IMAGES = ("operator", "trainer")
INSTALLED = ("operator.txt", "trainer.txt", "build.txt")
PINNED = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z,]*\])?==([^ ;]+)", re.MULTILINE)


def pinned(name: str) -> dict[str, str]:
    """Package → version."""
    return dict(PINNED.findall((REQUIREMENTS / name).read_text("utf-8")))


def stage(name: str) -> str:
    """The text of a stage of the Dockerfile."""
    return DOCKERFILE.partition(f" AS {name}\n")[2].partition("\nFROM ")[0]


@pytest.mark.parametrize("name", INSTALLED)
def test_images_hold_the_versions_of_the_lock(name: str) -> None:
    lock = pinned("lock.txt")
    assert pinned(name)
    assert {package: version for package, version in pinned(name).items() if lock.get(package) != version} == {}


@pytest.mark.parametrize("name", sorted(path.name for path in REQUIREMENTS.glob("*.txt")))
def test_every_pinned_package_has_hashes_and_no_address(name: str) -> None:
    text = (REQUIREMENTS / name).read_text("utf-8")
    assert "://" not in text
    for package in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in package, package


@pytest.mark.parametrize(("extra", "name"), [("operator", "operator.txt"), ("trainer", "trainer.txt")])
def test_an_image_holds_its_extra(extra: str, name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"][extra]]
    assert {re.split(r"[^a-z0-9-]", each.lower())[0] for each in wanted} <= set(pinned(name))


def test_the_operator_has_nothing_to_train_with() -> None:
    assert not {"torch", "transformers", "polars", "numpy"} & set(pinned("operator.txt"))


def test_the_trainer_holds_the_data_of_the_examples() -> None:
    held = pinned("trainer.txt") | pinned("models.txt") | {"trainwright": "itself"}
    for example in (ROOT / "examples").glob("*.yaml"):
        for package in re.findall(r"pkg://(\w+)/", example.read_text("utf-8")):
            assert package.replace("_", "-") in held, package


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_numbered_user_who_is_not_root(image: str) -> None:
    assert re.findall(r"^USER (.*)$", stage(image), re.MULTILINE) == ["10001"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_tells_its_version_and_revision(image: str) -> None:
    for word in ("version", "revision"):
        assert f'org.opencontainers.image.{word}="${word.upper()}"' in stage(image)
        assert f"ARG {word.upper()}=" in stage(image)


def test_whatever_the_trainer_caches_goes_where_pods_may_write() -> None:
    settings = dict(re.findall(r"(\w+_(?:HOME|DIR)|TMPDIR)=(\S+)", stage("trainer")))
    assert {"TMPDIR", "XDG_CACHE_HOME", "HF_HOME", "TRITON_CACHE_DIR"} <= set(settings)
    assert all(value.startswith("/scratch") for value in settings.values())


def test_what_the_images_copy_reaches_the_builder() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)
