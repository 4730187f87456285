"""Delivery: whole or not at all, repaired when damaged, and never at the cost of what is not ours."""

from __future__ import annotations

import pytest
from trainwright import export
from trainwright.errors import BadInput
from trainwright.export.manifest import write_manifest

from tests.tiny_run import artifact


@pytest.fixture
def made(tiny, tmp_path):
    folder = tmp_path / "stage" / "model"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    write_manifest(folder, {})
    return artifact(tmp_path / "stage", "export", {})


@pytest.fixture
def target(tmp_path):
    return tmp_path / "somewhere" / "model"


@pytest.fixture
def config(tiny, target):
    return tiny.with_spec(output={"uri": f"file://{target}"})


def test_a_model_appears_whole_with_all_its_files(config, made, target):
    assert export.deliver_output(config, made) == str(target)
    assert {path.name for path in target.iterdir()} == {"model.safetensors", "manifest.json"}
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_a_file_that_was_lost_or_cut_is_delivered_again(config, made, target):
    export.deliver_output(config, made)
    (target / "model.safetensors").unlink()
    export.deliver_output(config, made)
    assert (target / "model.safetensors").read_bytes() == b"weights"


def test_a_newer_model_replaces_the_older_one_completely(config, made, target):
    export.deliver_output(config, made)
    folder = made.folder / "model"
    (folder / "model.safetensors").unlink()
    (folder / "other.safetensors").write_bytes(b"newer")
    write_manifest(folder, {})
    export.deliver_output(config, made)
    assert {path.name for path in target.iterdir()} == {"other.safetensors", "manifest.json"}


def test_an_empty_folder_is_filled(config, made, target):
    target.mkdir(parents=True)
    export.deliver_output(config, made)
    assert (target / "manifest.json").exists()


def test_a_folder_of_somebody_else_is_never_replaced(config, made, target):
    target.mkdir(parents=True)
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="no run has written"):
        export.deliver_output(config, made)
    assert (target / "thesis.txt").read_text() == "years of work"
