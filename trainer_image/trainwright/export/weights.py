"""Writes the winner's weights as safetensors and proves that they are whole.

In: the model in memory and the base. Out: config.json, generation_config.json and *.safetensors in the deliverable's
folder; an error if a tensor is missing, misshapen, not finite, or as it was before training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainwright.errors import BadInput, NonFinite

HINT = "the export is not delivered; run train again with --fresh train"


def save_weights(model: Any, folder: Path, generation_config: Any) -> None:
    """Save weights and both configurations as transformers does; tied embeddings stay tied."""
    model.generation_config = generation_config
    model.config.use_cache = True
    for name in ("eos_token_id", "bos_token_id", "pad_token_id"):
        setattr(model.config, name, getattr(generation_config, name))
    model.save_pretrained(folder)


def verify_weights(folder: Path) -> int:
    """Compare the written tensors with what config.json asks for and return their number.

    Raises:
        BadInput: a tensor is missing, unknown or has another shape.
        NonFinite: a value is NaN or infinite.
    """
    expected = _expected(folder)
    found: set[str] = set()
    for name, tensor in _tensors(folder):
        if name not in expected:
            raise BadInput(f"{folder} has an unexpected tensor {name}", hint=HINT)
        if tuple(tensor.shape) != expected[name]:
            raise BadInput(f"{name} in {folder} has shape {tuple(tensor.shape)}, not {expected[name]}", hint=HINT)
        if not bool(tensor.isfinite().all()):
            raise NonFinite(f"{name} in {folder} holds values that are NaN or infinite", hint=HINT)
        found.add(name)
    if missing := sorted(expected.keys() - found):
        raise BadInput(f"{folder} lacks {len(missing)} of {len(expected)} tensors, first {missing[0]}", hint=HINT)
    return len(found)


def unchanged_tensors(model: Any, base: Any) -> list[str]:
    """Names of parameters that are bit for bit as in the base."""
    before = dict(base.named_parameters())
    return [
        name
        for name, parameter in model.named_parameters()
        if name in before and bool((parameter == before[name].to(parameter.dtype)).all())
    ]


def _expected(folder: Path) -> dict[str, tuple[int, ...]]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def _tensors(folder: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file.get_tensor(name)
