"""Tiny model folders and GGUF files, whole and damaged in the ways that happen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import torch
from trainwright.models import PRESETS, build_model

from tests.toy_tokenizers import toy_tokenizer

SHAPE: Mapping[str, Any] = {
    **PRESETS["llama-tiny"],
    "hidden_size": 32,
    "head_dim": 8,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": None,
}
GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}


def model_folder(folder: Path, **changes: Any) -> Path:
    """A whole folder: config.json, generation_config.json, one safetensors, a tokenizer."""
    toy_tokenizer(folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    (folder / "config.json").write_text(json.dumps({**SHAPE, **changes}), "utf-8")
    model: Any = build_model(folder, vocabulary_size=len(vocabulary), seed=5, dtype=torch.float32)
    model.save_pretrained(folder)
    return folder


def write_gguf(file: Path) -> dict[str, torch.Tensor]:
    """A GGUF file of the tiny shape with a tokenizer; returns the weights under their names in transformers."""
    source = model_folder(file.parent / "source")
    tokenizer = json.loads((source / "tokenizer.json").read_text("utf-8"))["model"]
    size = len(tokenizer["vocab"])
    model: Any = build_model(source, vocabulary_size=size, seed=5, dtype=torch.float32)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(SHAPE["max_position_embeddings"])
    writer.add_embedding_length(SHAPE["hidden_size"])
    writer.add_block_count(SHAPE["num_hidden_layers"])
    writer.add_feed_forward_length(SHAPE["intermediate_size"])
    writer.add_head_count(SHAPE["num_attention_heads"])
    writer.add_head_count_kv(SHAPE["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(SHAPE["rms_norm_eps"])
    writer.add_rope_freq_base(SHAPE["rope_theta"])
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(tokenizer["vocab"], key=tokenizer["vocab"].get))
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["merges"]])
    writer.add_token_types([3 if number < 4 else 1 for number in range(size)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(3)
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    for name, tensor in weights.items():
        writer.add_tensor(_gguf_name(name), _permuted(name, tensor).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _gguf_name(name: str) -> str:
    for old, new in GGUF_NAMES.items():
        name = name.replace(old, new)
    return name


def _permuted(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """GGUF keeps the halves of rotary pairs interleaved."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    heads, width = tensor.shape[0] // SHAPE["head_dim"], tensor.shape[1]
    return tensor.reshape(heads, 2, -1, width).swapaxes(1, 2).reshape(tensor.shape).contiguous()
