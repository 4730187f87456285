"""Shapes of models and how they come into memory: existing safetensors, or random weights drawn from a seed.

`PRESETS` and `parameter_count` are plain data and arithmetic for the plan; torch and transformers are imported only by
`load_model` and `build_model`. Code that comes with a model is never run, and pickled weights are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.errors import BadInput

if TYPE_CHECKING:
    import torch

ARCHITECTURES: Mapping[str, str] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "SmolLM3ForCausalLM": "smollm3",
}
"""Architectures whose packed attention and parameter count are tested, with their `model_type`."""

_WHOLE_FOLDER = "the folder must hold config.json and complete safetensors of one model"

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")

_LLAMA: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-05,
    "tie_word_embeddings": True,
    "use_cache": True,
}

_LLAMA_3_2: Mapping[str, Any] = {
    **_LLAMA,
    "vocab_size": 128256,
    "intermediate_size": 8192,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "llama-tiny": {
        **_LLAMA,
        "vocab_size": 4096,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
    },
    "llama-3.2-1b": {
        **_LLAMA_3_2,
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "head_dim": 64,
    },
    "llama-3.2-3b": {
        **_LLAMA_3_2,
        "hidden_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "head_dim": 128,
    },
}
"""config.json of each `model.scratch.preset`; the larger ones as published with Llama 3.2, less the tokenizer's ids."""


def parameter_count(config: Mapping[str, Any]) -> int:
    """Count the parameters of a model from its config.json; tied embeddings count once.

    Raises:
        BadInput: the architecture is not one of ARCHITECTURES, or a size is missing.
    """
    family = family_of(config)
    try:
        hidden, layers, heads = config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"]
        vocabulary, intermediate = config["vocab_size"], config["intermediate_size"]
    except KeyError as error:
        raise BadInput(f"config.json has no {error}", hint="use the complete config.json of the model") from error
    head = config.get("head_dim") or (128 if family == "qwen3" else hidden // heads)
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    attention = hidden * (2 * queries + 2 * keys)
    if config.get("attention_bias") or family == "qwen2":
        attention += queries + 2 * keys + (hidden if family != "qwen2" else 0)
    if family == "qwen3":
        attention += 2 * head
    feed_forward = 3 * hidden * intermediate + (2 * intermediate + hidden if config.get("mlp_bias") else 0)
    embeddings = vocabulary * hidden * (1 if _is_tied(config, family) else 2)
    return int(embeddings + layers * (attention + feed_forward + 2 * hidden) + hidden)


def _is_tied(config: Mapping[str, Any], family: str) -> bool:
    return bool(config.get("tie_word_embeddings", family == "smollm3"))


def family_of(config: Mapping[str, Any]) -> str:
    """The `model_type` of a known architecture.

    Raises:
        BadInput: `architectures` is missing or names one that is not known.
    """
    names = config.get("architectures") or []
    known = [ARCHITECTURES[name] for name in names if name in ARCHITECTURES]
    if not known:
        named = f"names the architecture {', '.join(map(str, names))}" if names else "names no architecture"
        raise BadInput(
            f"config.json {named}, which cannot be trained here", hint=f"use a model of: {', '.join(ARCHITECTURES)}"
        )
    return known[0]


def load_model(folder: Path, *, dtype: torch.dtype) -> torch.nn.Module:
    """Load existing weights from the safetensors in `folder`, cast to `dtype`, in training mode off.

    Raises:
        BadInput: there are no safetensors, only pickles, or they do not fit config.json.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    refuse_pickles(folder)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"the weights in {folder} cannot be loaded: {reason}", hint=_WHOLE_FOLDER) from error
    model: torch.nn.Module = loaded[0]
    missing = sorted(loaded[1]["missing_keys"])
    if missing:
        raise BadInput(
            f"{folder} lacks {len(missing)} tensors that config.json asks for, first {missing[0]}", hint=_WHOLE_FOLDER
        )
    return model


def stored_dtype(folder: Path) -> torch.dtype:
    """The precision that config.json says the weights are stored in; fp32 if it says nothing."""
    import torch

    config = json.loads((folder / "config.json").read_text("utf-8"))
    name = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(name, torch.float32)


def refuse_pickles(folder: Path) -> None:
    """Raise BadInput unless the folder has safetensors; pickled weights are named, never opened."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = (
        sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES) if folder.is_dir() else []
    )
    if pickles:
        raise BadInput(
            f"{folder} has its weights only as a pickle ({pickles[0]}), and loading one can run any code",
            hint="save the model with save_pretrained (safetensors), then name that folder",
        )
    raise BadInput(f"{folder} holds no weights", hint="a model folder has config.json and *.safetensors")


def build_model(folder: Path, *, vocabulary_size: int, seed: int, dtype: torch.dtype) -> torch.nn.Module:
    """Draw random weights of the shape in `folder`/config.json, with `vocabulary_size` embeddings.

    The draw is in fp32 and depends on the seed alone; `dtype` only casts it. Special ids outside the vocabulary go.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config.vocab_size = vocabulary_size
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        ids = getattr(config, name, None)
        if ids is not None and max(ids if isinstance(ids, list) else [ids]) >= vocabulary_size:
            setattr(config, name, None)
    auto: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: torch.nn.Module = auto.from_config(config, dtype=torch.float32)
    return model.to(dtype)
