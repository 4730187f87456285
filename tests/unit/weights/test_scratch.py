"""Models from scratch: presets, own shapes, and the tokenizer whose vocabulary they get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from trainwright.errors import BadInput
from trainwright.models import build_model
from transformers import AutoTokenizer

from tests.tiny_models import SHAPE
from tests.toy_tokenizers import toy_tokenizer
from tests.unit.weights.fetching import fetch

LEARNT = {"train": {"vocabularySize": 1000}}


def test_a_preset_has_a_config_and_nothing_else(tmp_path: Path) -> None:
    report, output = fetch(tmp_path, {"scratch": {"preset": "llama-tiny"}, "tokenizer": LEARNT})
    assert [str(path.relative_to(output)) for path in sorted(output.rglob("*")) if path.is_file()] == [
        "model/config.json"
    ]
    config = json.loads((output / "model" / "config.json").read_text())
    assert config["vocab_size"] == 1000
    model = build_model(output / "model", vocabulary_size=1000, seed=1, dtype=torch.float32)
    assert report.metrics["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert report.metrics["scratch"] is True


def test_the_published_shape_has_the_published_number_of_parameters(tmp_path: Path) -> None:
    report, _ = fetch(
        tmp_path, {"scratch": {"preset": "llama-3.2-3b"}, "tokenizer": {"train": {"vocabularySize": 128256}}}
    )
    assert report.metrics["parameters"] == 3_212_749_824
    assert report.metrics["maxPositions"] == 131_072


@pytest.mark.parametrize("uri", ["./shape.json", "./folder"])
def test_an_own_config_is_used_with_the_tokenizers_vocabulary(tmp_path: Path, uri: str) -> None:
    toy_tokenizer(tmp_path / "toy")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "shape.json", tmp_path / "folder" / "config.json"):
        path.write_text(json.dumps({**SHAPE, "bos_token_id": 128000, "eos_token_id": 128001}))
    _, output = fetch(tmp_path, {"scratch": {"config": uri}, "tokenizer": {"from": "./toy"}})
    config = json.loads((output / "model" / "config.json").read_text())
    assert config["vocab_size"] == len(AutoTokenizer.from_pretrained(output / "tokenizer"))
    assert config["hidden_size"] == 32
    assert (config["eos_token_id"], config["bos_token_id"], config["pad_token_id"]) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "without code of its own"),
        (json.dumps({**SHAPE, "auto_map": {"AutoModel": "modeling.Evil"}}), "without code of its own"),
        (json.dumps({**SHAPE, "architectures": ["EvilForCausalLM"]}), "names the architecture EvilForCausalLM"),
        (json.dumps({"architectures": ["LlamaForCausalLM"]}), "has no 'hidden_size'"),
    ],
)
def test_a_config_that_cannot_be_used_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "shape.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        fetch(tmp_path, {"scratch": {"config": "./shape.json"}, "tokenizer": LEARNT})


def test_a_tokenizer_that_holds_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("nothing")
    with pytest.raises(BadInput, match=r"./empty holds no tokenizer"):
        fetch(tmp_path, {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"from": "./empty"}})
