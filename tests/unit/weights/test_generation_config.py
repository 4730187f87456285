"""Settings for generation that would make saving fail hours later are mended at once, and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, GenerationConfig

from tests.tiny_models import model_folder
from tests.unit.weights.fetching import fetch


def fetched(folder: Path, settings: Any, **config: Any) -> tuple[list[str], dict[str, Any], Path]:
    made = model_folder(folder / "model", **config)
    path = made / "generation_config.json"
    path.unlink(missing_ok=True)
    if settings is not None:
        path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    report, output = fetch(folder, {"from": "./model"})
    return report.metrics["warnings"], json.loads((output / "model" / "generation_config.json").read_text()), output


def assert_can_be_saved(output: Path, folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(output / "model")
    model.save_pretrained(folder / "again")
    GenerationConfig.from_pretrained(output / "model").save_pretrained(folder / "again")


def test_sampling_settings_without_sampling_go(tmp_path: Path) -> None:
    warnings, settings, output = fetched(
        tmp_path, {"do_sample": False, "temperature": 0.9, "top_p": 0.5, "eos_token_id": 3}
    )
    assert settings == {"do_sample": False, "eos_token_id": 3}
    assert warnings == ["generation_config.json: temperature, top_p without do_sample are removed"]
    assert_can_be_saved(output, tmp_path)


def test_sampling_settings_with_sampling_stay(tmp_path: Path) -> None:
    given = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [3, 1]}
    warnings, settings, _ = fetched(tmp_path, given)
    assert (warnings, settings) == ([], given)


def test_unknown_keys_go(tmp_path: Path) -> None:
    warnings, settings, output = fetched(tmp_path, {"eos_token_id": 3, "wobble": 7, "max_new_tokens": 9})
    assert settings == {"eos_token_id": 3, "max_new_tokens": 9}
    assert warnings == ["generation_config.json: unknown keys are removed: wobble"]
    assert_can_be_saved(output, tmp_path)


def test_what_a_call_returns_is_no_setting_of_a_model(tmp_path: Path) -> None:
    given = {"eos_token_id": 3, "output_attentions": True, "output_hidden_states": False, "output_scores": True}
    warnings, settings, output = fetched(tmp_path, given)
    assert (warnings, settings) == ([], {"eos_token_id": 3})
    assert_can_be_saved(output, tmp_path)


@pytest.mark.parametrize(("eos", "left"), [(99_999, None), ([3, 99_999], 3), (-1, None)])
def test_token_ids_outside_the_vocabulary_go(tmp_path: Path, eos: Any, left: int | None) -> None:
    warnings, settings, output = fetched(tmp_path, {"eos_token_id": eos})
    assert settings.get("eos_token_id") == left
    assert len(warnings) == 1 and "outside the vocabulary" in warnings[0]
    assert_can_be_saved(output, tmp_path)


def test_a_removed_id_is_replaced_by_that_of_the_config(tmp_path: Path) -> None:
    _, settings, _ = fetched(tmp_path, {"eos_token_id": 99_999}, eos_token_id=3)
    assert settings["eos_token_id"] == 3


def test_token_ids_of_the_config_outside_the_vocabulary_go_as_well(tmp_path: Path) -> None:
    made = model_folder(tmp_path / "model", eos_token_id=[3, 7])
    config = json.loads((made / "config.json").read_text()) | {"eos_token_id": [3, 99_999], "bos_token_id": 99_999}
    (made / "config.json").write_text(json.dumps(config))
    report, output = fetch(tmp_path, {"from": "./model"})
    mended = json.loads((output / "model" / "config.json").read_text())
    assert (mended["eos_token_id"], mended["bos_token_id"]) == (3, None)
    assert len([warning for warning in report.metrics["warnings"] if warning.startswith("config.json")]) == 2
    assert_can_be_saved(output, tmp_path)


@pytest.mark.parametrize(("settings", "count"), [(None, 0), ("{", 1), ("[1]", 1)])
def test_a_missing_or_unreadable_file_is_made_from_the_config(tmp_path: Path, settings: str | None, count: int) -> None:
    warnings, found, output = fetched(tmp_path, settings, eos_token_id=3, bos_token_id=0)
    assert len(warnings) == count
    assert found == {"bos_token_id": 0, "eos_token_id": 3}
    assert_can_be_saved(output, tmp_path)
