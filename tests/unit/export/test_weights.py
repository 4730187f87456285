"""Weights that are incomplete, not finite or untrained never pass as a result."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainwright.candidates import load_base, load_candidate
from trainwright.errors import BadInput, NonFinite
from trainwright.export.generation_config import generation_config
from trainwright.export.weights import save_weights, verify_trained, verify_weights
from transformers import AutoConfig

from tests.tiny_run import STEPS, tiny_model


@pytest.fixture
def folder(tmp_path):
    settings = generation_config(tmp_path / "none", stop_ids=[2], bos_id=None, pad_id=0)
    save_weights(tiny_model(259), tmp_path / "model", settings)
    return tmp_path / "model"


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def test_whole_weights_pass_and_tied_embeddings_are_stored_once(folder):
    assert verify_weights(folder) == len(load_file(folder / "model.safetensors"))
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")


def test_a_missing_tensor_is_named(folder):
    rewrite(folder, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(BadInput, match=r"lacks 1 of \d+ tensors, first model.layers.1.mlp.up_proj.weight"):
        verify_weights(folder)


def test_an_empty_tensor_is_named_with_its_shape(folder):
    rewrite(folder, lambda tensors: tensors.update({"model.norm.weight": torch.zeros(0)}))
    with pytest.raises(BadInput, match=r"model.norm.weight .* has shape \(0,\), not \(64,\)"):
        verify_weights(folder)


def test_a_file_without_any_tensor_is_refused(folder):
    save_file({}, folder / "model.safetensors")
    with pytest.raises(BadInput, match="lacks"):
        verify_weights(folder)


def test_a_weight_that_is_not_a_number_is_named(folder):
    rewrite(folder, lambda tensors: tensors["model.norm.weight"].__setitem__(3, float("nan")))
    with pytest.raises(NonFinite, match=r"model.norm.weight"):
        verify_weights(folder)


def test_an_unknown_tensor_is_refused(folder):
    rewrite(folder, lambda tensors: tensors.update({"extra": torch.zeros(1)}))
    with pytest.raises(BadInput, match="unexpected tensor extra"):
        verify_weights(folder)


def test_a_candidate_equal_to_its_base_was_not_trained(folder):
    with pytest.raises(BadInput, match="as before training"):
        verify_trained(folder, tiny_model(259), exact=True)


def test_one_untrained_tensor_is_refused_in_fp32_and_counted_in_bf16(folder):
    def train_all_but_one(tensors):
        for name, tensor in tensors.items():
            if name != "model.norm.weight":
                tensor.add_(0.01)

    rewrite(folder, train_all_but_one)
    with pytest.raises(BadInput, match=r"1 of \d+ tensors .* first model.norm.weight"):
        verify_trained(folder, tiny_model(259), exact=True)
    assert verify_trained(folder, tiny_model(259), exact=False) == 1


def test_an_adapter_whose_second_matrices_are_zero_was_not_trained(tiny_lora, tmp_path):
    base = load_base(tiny_lora.config, tiny_lora.inputs, dtype=torch.float32)
    assert verify_trained(tiny_lora.candidate(), base, exact=False) == 0
    damaged = tiny_lora.copy(tmp_path / "copy").candidate()
    tensors = load_file(damaged / "adapter_model.safetensors")
    name = next(name for name in tensors if "lora_B" in name)
    save_file({**tensors, name: torch.zeros_like(tensors[name])}, damaged / "adapter_model.safetensors")
    with pytest.raises(BadInput, match="lora_B"):
        verify_trained(damaged, base, exact=False)


def test_an_adapter_is_merged_in_fp32_before_it_is_rounded(tiny_lora):
    merged = load_candidate(tiny_lora.config, tiny_lora.inputs, STEPS, dtype=torch.bfloat16)
    base = load_base(tiny_lora.config, tiny_lora.inputs, dtype=torch.float32)
    adapter = load_file(tiny_lora.candidate() / "adapter_model.safetensors")
    name = "model.layers.0.self_attn.q_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    exact = base.get_submodule(name).weight + 8 / 4 * b @ a
    assert torch.equal(merged.get_submodule(name).weight, exact.to(torch.bfloat16))
    assert merged.lm_head.weight is merged.model.embed_tokens.weight


@pytest.mark.parametrize(
    "text",
    [
        '{"do_sample": false, "temperature": 0.9}',
        '{"nobody_knows_this": 1}',
        '{"eos_token_id": 999999}',
        '{"max_new_tokens": -3}',
        '{"do_sample": "perhaps", "temperature": "hot"}',
        "not JSON",
        "[]",
    ],
)
def test_no_generation_config_of_a_base_keeps_weights_from_being_saved(tmp_path, text):
    base = tmp_path / "generation_config.json"
    base.write_text(text)
    settings = generation_config(base, stop_ids=[2, 5], bos_id=1, pad_id=0)
    save_weights(tiny_model(259), tmp_path / "model", settings)
    assert verify_weights(tmp_path / "model")
    assert [settings.eos_token_id, settings.bos_token_id, settings.pad_token_id] == [[2, 5], 1, 0]


def test_sampling_that_makes_sense_is_kept(tmp_path):
    base = tmp_path / "generation_config.json"
    base.write_text('{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "eos_token_id": 7}')
    settings = generation_config(base, stop_ids=[2], bos_id=None, pad_id=0)
    assert [settings.do_sample, settings.temperature, settings.top_p, settings.eos_token_id] == [True, 0.6, 0.9, 2]


def test_rotary_settings_stand_under_their_older_names_too(tmp_path):
    rope = {"rope_type": "linear", "factor": 2.0, "rope_theta": 500_000.0}
    settings = generation_config(tmp_path / "none", stop_ids=[2], bos_id=None, pad_id=0)
    save_weights(tiny_model(259, rope_parameters=rope), tmp_path, settings)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["rope_theta"] == 500_000.0
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}
    assert AutoConfig.from_pretrained(tmp_path).rope_parameters == rope
