"""Shapes and loading: counts equal to what is built, seeds that decide, packed rows that do not see each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainwright.errors import BadInput
from trainwright.models import ARCHITECTURES, PRESETS, build_model, load_model, parameter_count, stored_dtype

from tests.tiny_models import SHAPE, model_folder


def shape_folder(folder: Path, **changes: Any) -> tuple[Path, dict[str, Any]]:
    shape = {**SHAPE, "pad_token_id": 0, **changes}
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(shape))
    return folder, shape


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "changes", [{"tie_word_embeddings": True}, {"tie_word_embeddings": False, "num_key_value_heads": 2}]
)
def test_parameters_are_counted_as_they_are_built(tmp_path: Path, architecture: str, changes: dict[str, Any]) -> None:
    known = {"architectures": [architecture], "model_type": ARCHITECTURES[architecture], "vocab_size": 300}
    folder, shape = shape_folder(tmp_path / "model", **known, **changes)
    model = build_model(folder, vocabulary_size=300, seed=0, dtype=torch.float32)
    assert parameter_count(shape) == sum(parameter.numel() for parameter in model.parameters())


def test_presets_have_the_published_numbers_of_parameters() -> None:
    assert parameter_count(PRESETS["llama-3.2-1b"]) == 1_235_814_400
    assert parameter_count(PRESETS["llama-3.2-3b"]) == 3_212_749_824
    assert 3_000_000 < parameter_count(PRESETS["llama-tiny"]) < 4_000_000


def test_the_published_presets_scale_their_rotary_positions(tmp_path: Path) -> None:
    from transformers import AutoConfig

    (tmp_path / "config.json").write_text(json.dumps(PRESETS["llama-3.2-3b"]))
    rope = AutoConfig.from_pretrained(tmp_path).rope_parameters
    assert (rope["rope_type"], rope["factor"], rope["rope_theta"]) == ("llama3", 32.0, 500_000.0)
    assert rope["original_max_position_embeddings"] == 8192


def test_weights_are_a_function_of_the_seed_whatever_was_drawn_before(tmp_path: Path) -> None:
    folder, _ = shape_folder(tmp_path / "model")

    def draw(seed: int) -> torch.Tensor:
        torch.rand(7)
        model: Any = build_model(folder, vocabulary_size=300, seed=seed, dtype=torch.float32)
        return model.model.embed_tokens.weight

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_drawing_weights_leaves_the_random_state_alone(tmp_path: Path) -> None:
    folder, _ = shape_folder(tmp_path / "model")
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build_model(folder, vocabulary_size=300, seed=9, dtype=torch.float32)
    assert torch.equal(torch.rand(4), expected)


def test_precision_only_rounds_the_draw(tmp_path: Path) -> None:
    folder, _ = shape_folder(tmp_path / "model")
    full = build_model(folder, vocabulary_size=300, seed=1, dtype=torch.float32).state_dict()
    half = build_model(folder, vocabulary_size=300, seed=1, dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(half[name], full[name].to(torch.bfloat16)) for name in full)


def test_special_ids_outside_the_vocabulary_are_forgotten(tmp_path: Path) -> None:
    folder, _ = shape_folder(tmp_path / "model", eos_token_id=[2, 128009], bos_token_id=1)
    model: Any = build_model(folder, vocabulary_size=300, seed=0, dtype=torch.float32)
    assert (model.config.eos_token_id, model.config.bos_token_id) == (None, 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_packed_rows_do_not_see_each_other(tmp_path: Path, architecture: str) -> None:
    known = {"architectures": [architecture], "model_type": ARCHITECTURES[architecture]}
    folder, _ = shape_folder(tmp_path / "model", **known)
    model: Any = build_model(folder, vocabulary_size=300, seed=0, dtype=torch.float32).eval()
    rows = [torch.arange(5, 12)[None], torch.arange(40, 60)[None], torch.arange(7, 10)[None]]
    positions = torch.cat([torch.arange(row.shape[1]) for row in rows])[None]
    with torch.inference_mode():
        packed = model(torch.cat(rows, 1), position_ids=positions, attention_mask=None, use_cache=False).logits
        alone = torch.cat([model(row, use_cache=False).logits for row in rows], 1)
    assert (packed - alone).abs().max() <= 1e-5 * alone.abs().max()


def test_loading_gives_the_weights_in_the_precision_asked_for(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    loaded = load_model(folder, dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(loaded[name], tensor.to(torch.bfloat16)) for name, tensor in tensors.items())
    assert stored_dtype(folder) == torch.float32


def test_loading_refuses_pickles_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no weights"):
        load_model(tmp_path, dtype=torch.float32)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(BadInput, match="only as a pickle"):
        load_model(tmp_path, dtype=torch.float32)


def test_loading_names_a_tensor_that_is_missing(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"lacks 1 tensors .* first model.norm.weight"):
        load_model(folder, dtype=torch.float32)


def test_loading_tells_of_truncated_weights(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_model(folder, dtype=torch.float32)


@pytest.mark.parametrize(
    ("name", "dtype"), [("bfloat16", torch.bfloat16), ("float16", torch.float16), (None, torch.float32)]
)
def test_the_stored_precision_is_read_from_the_config(tmp_path: Path, name: str | None, dtype: torch.dtype) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"dtype": name}))
    assert stored_dtype(tmp_path) == dtype
