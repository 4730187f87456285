"""The examples run: shortened by --sample and fewer steps, everything else as a newcomer starts them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.local.run.conftest import REPOSITORY, Command, finished


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory, trainwright: Command) -> Path:
    """The workdir of examples/quickstart.yaml over 1,000 exchanges of each source and four steps."""
    folder = tmp_path_factory.mktemp("quickstart")
    run = shortened(folder, "quickstart", training={"maxSteps": 4}, evaluation={"every": 2, "maxRows": 20})
    done = trainwright("run", run, "--workdir", folder / "work", "--sample", "1000")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "work"


def test_quickstart_goes_from_conversations_to_an_adapted_model(quickstart: Path) -> None:
    stages = {name.split("/")[0]: done for name, done in finished(quickstart).items()}
    assert stages["ingest"]["counts"]["exchanges"] >= 1000
    assert stages["train"]["metrics"]["steps"] == 4
    config = json.loads((quickstart / "model" / "config.json").read_text())
    assert config["model_type"] == "llama"
    assert config["hidden_size"] == 576
    page = (quickstart / "report.html").read_text()
    assert "Is Earth a star?" in page


def test_search_finds_a_training_exchange_of_the_quickstart(quickstart: Path, trainwright: Command) -> None:
    done = trainwright("search", "the capital of Switzerland", "--workdir", quickstart, "--limit", "3")
    assert done.returncode == 0, done.stderr
    assert "Bern" in done.stdout
    assert len(done.stdout.splitlines()) == 3


def test_chat_answers_once(quickstart: Path, trainwright: Command) -> None:
    done = trainwright("chat", quickstart / "model", "--once", "Hello!")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "<|im_end|>" not in done.stdout


def test_the_report_can_be_made_again_without_texts(quickstart: Path, tmp_path: Path, trainwright: Command) -> None:
    work = Path(shutil.copytree(quickstart, tmp_path / "work"))
    done = trainwright("report", work, "--no-examples")
    assert done.returncode == 0, done.stderr
    assert "Is Earth a star?" not in (work / "report.html").read_text()


def test_from_scratch_trains_a_model_with_its_own_tokenizer(tmp_path: Path, trainwright: Command) -> None:
    run = shortened(tmp_path, "from-scratch", training={"maxSteps": 3}, evaluation={"every": 3, "maxRows": 20})
    done = trainwright("run", run, "--workdir", tmp_path / "work", "--sample", "1000", "--until", "export")
    assert done.returncode == 0, done.stdout + done.stderr
    stages = {name.split("/")[0]: done for name, done in finished(tmp_path / "work").items()}
    assert 3_000_000 <= stages["weights"]["metrics"]["parameters"] <= 4_000_000
    assert stages["tokenize"]["metrics"]["vocabularySize"] == 4096
    assert stages["tokenize"]["metrics"]["unigramLoss"] > 0


def test_the_mission_is_planned(trainwright: Command) -> None:
    done = trainwright("plan", REPOSITORY / "examples" / "llama-3.2-3b.yaml")
    assert done.returncode == 0, done.stderr
    assert "3,212,749,824" in done.stdout
    assert "A100-80GB" in done.stdout


def shortened(folder: Path, example: str, **groups: dict[str, Any]) -> Path:
    """A copy of an example with some settings replaced."""
    document = yaml.safe_load((REPOSITORY / "examples" / f"{example}.yaml").read_text("utf-8"))
    for group, settings in groups.items():
        if "maxSteps" in settings:
            document["spec"][group].pop("epochs", None)
        document["spec"][group] |= settings
    path = folder / f"{example}.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path
