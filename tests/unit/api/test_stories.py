"""Runs as users write them, from ten lines to a whole cluster, and the examples: all of them are valid."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainwright import api

ROOT = Path(__file__).parents[3]
STORIES = sorted((ROOT / "tests/data/api/stories").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", STORIES, ids=lambda file: file.stem)
@pytest.mark.parametrize("cluster", [False, True], ids=["one machine", "cluster"])
def test_a_story_is_valid_on_one_machine_and_on_a_cluster(file: Path, cluster: bool) -> None:
    assert api.problems(file.read_text("utf-8"), cluster=cluster) == []


@pytest.mark.parametrize("file", STORIES + EXAMPLES, ids=lambda file: file.stem)
def test_a_resolved_story_survives_being_written_and_read(file: Path) -> None:
    resolved = api.resolve(api.load_run(file).spec)
    assert api.Spec.model_validate_json(resolved.model_dump_json(by_alias=True)) == resolved


def test_there_are_thirteen_stories() -> None:
    assert len(STORIES) == 13


def test_fields_are_read_under_their_python_names() -> None:
    spec = api.load_run(ROOT / "tests/data/api/stories/three-sources.yaml").spec
    merged, sampled, utterances, golden = spec.data.sources
    assert merged.columns is not None
    assert merged.columns.prompt == "{subject}\n\n{body}"
    assert (sampled.weight, sampled.max_rows) == (0.5, 50_000)
    assert utterances.columns is not None
    assert (utterances.columns.conversation, utterances.columns.order) == ("thread", "sent_at")
    assert golden.use == "Test"
    assert spec.data.prepare.personal_data.kinds == ["card", "iban"]
    assert spec.data.prepare.balance.synthesize is not None
    assert spec.data.prepare.balance.synthesize.min_share == 0.05


def test_groups_that_are_absent_are_there_with_their_defaults() -> None:
    spec = api.Spec.model_validate({"data": {"sources": [{"uri": "./rows.jsonl"}]}})
    assert spec.training.warmup == 0.03
    assert spec.data.prepare.deduplicate.near == 0.7
    assert spec.data.prepare.language.keep == []
    assert spec.evaluation.generate.rows == 128
    assert spec.vector_store.enabled
    assert spec.cluster.stages.prepare.resources.memory is None
    assert spec.checkpoint.keep == 2
    assert spec.training.lora is None
    assert spec.model_fields_set == {"data"}
