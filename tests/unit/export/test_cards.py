"""Model card, data card and manifest: what they say, and that equal runs say the same."""

from __future__ import annotations

import hashlib
import json

import pytest
import yaml
from trainwright.artifacts import Artifact
from trainwright.export.data_card import data_card, table
from trainwright.export.manifest import write_manifest
from trainwright.export.model_card import model_card

from tests.tiny_run import FACTS, artifact

BEST = {"step": 150, "loss": 0.5, "perplexity": 1.649, "bleu": 0.25, "probes": 1.0}
EVALUATE = {
    "before": {"loss": 5.5, "perplexity": 244.7},
    "best": BEST,
    "result": {**BEST, "split": "test", "loss": 0.6},
    "signatures": {"bleu": "nrefs:1|eff:yes"},
    "overfitting": {"signal": False, "message": "validation loss ended at its lowest value"},
}


@pytest.fixture
def inputs(tiny, tmp_path):
    evaluate = {"evaluate": artifact(tmp_path / "evaluate", "evaluate", EVALUATE)}
    return {**tiny.copy(tmp_path / "copy").inputs, **evaluate}


def test_the_model_card_has_figures_before_and_after_settings_and_lineage(tiny, inputs):
    card = model_card(tiny.config, inputs, 90_624)
    assert "| before, validation rows | 5.5 | 244.7 |" in card
    assert "| this model, test rows | 0.6 | 1.649 | 0.25 |" in card
    assert "90,624 parameters" in card and "fine-tuned (all weights) from `./base`" in card
    assert "nrefs:1|eff:yes" in card
    assert '"precision": "fp32"' in card
    assert inputs["train"].key in card


def test_the_front_matter_is_yaml_with_the_licence_of_the_data(tiny, inputs):
    front = yaml.safe_load(model_card(tiny.config, inputs, 1).split("---")[1])
    assert front["license"] == "mit"
    assert front["library_name"] == "transformers"


def test_a_source_without_a_licence_leaves_the_licence_open(tiny, inputs):
    config = tiny.with_spec(data={"sources": [{"uri": "./a.jsonl", "license": "MIT"}, {"uri": "./b.jsonl"}]})
    assert "license" not in yaml.safe_load(model_card(config, inputs, 1).split("---")[1])
    assert "not stated" in data_card(config, inputs)


def test_languages_of_a_percent_stand_in_yaml_and_norwegian_stays_one(tiny, inputs):
    prepare = inputs["prepare"]
    inputs["prepare"] = artifact(
        prepare.folder, "prepare", {**prepare.metrics, "languages": {"no": 30, "en": 500, "is": 1, "und": 40}}
    )
    front = yaml.safe_load(model_card(tiny.config, inputs, 1).split("---")[1])
    assert front["language"] == ["en", "no"]


def test_the_data_card_counts_sources_files_steps_and_splits(tiny, inputs):
    facts = {
        "uri": "./facts.jsonl",
        "rows": 8,
        "exchanges": 9,
        "bad": {"notJson": 2},
        "files": [{"name": f"{n}.jsonl", "bytes": 1000 + n, "digest": f"sha256:{n}"} for n in range(30)],
    }
    (inputs["ingest"].folder / "sources.json").write_text(json.dumps([facts]))
    card = data_card(tiny.config, inputs)
    assert "| ./facts.jsonl | MIT | split | 1 | 8 | 9 | 2 |" in card
    assert "| ./facts.jsonl | 3.jsonl | 1,003 | sha256:3 |" in card
    assert "and 10 more" in card
    assert "| clean | 9 | 8 | empty 1 |" in card
    assert "| train | 4 |" in card
    assert '"near": 0.7' in card


def test_no_text_of_a_row_stands_in_a_card(tiny, inputs):
    cards = model_card(tiny.config, inputs, 1) + data_card(tiny.config, inputs)
    assert not any(text in cards for fact in FACTS for text in fact)


def test_what_could_break_a_table_is_escaped():
    assert table(("a",), [("x|y\nz",)]).splitlines()[-1] == "| x\\|y z |"


def test_the_manifest_hashes_every_file_and_makes_all_readable(tiny, inputs, tmp_path):
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "inner" / "b.txt").write_bytes(b"bb")
    (folder / "a.txt").chmod(0o600)
    _, size_bytes = write_manifest(folder, inputs)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"]["inner/b.txt"] == {"sha256": hashlib.sha256(b"bb").hexdigest(), "bytes": 2}
    assert manifest["stages"]["train"] == inputs["train"].key
    assert size_bytes == 3
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}


def test_a_card_is_titled_after_its_base_and_not_after_the_run(tiny, inputs):
    card = model_card(tiny.config, inputs, 1)
    assert "\n# base, fine-tuned\n" in card
    assert card == model_card(tiny.config.model_copy(update={"name": "another"}), inputs, 1)


def test_a_trial_on_a_sample_is_told(tiny, inputs):
    ingest = inputs["ingest"]
    done = {**ingest.done, "ingredients": {"sample": 1000}}
    inputs["ingest"] = Artifact(stage="ingest", key=ingest.key, folder=ingest.folder, done=done)
    assert "at most 1,000 exchanges of each source" in data_card(tiny.config, inputs)
