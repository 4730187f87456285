"""Weights that may become the result: the base model, and what train kept at each validation.

In: the artifacts of weights, tokenize and train. Out: a transformers model in memory. A candidate is
`candidates/step-N/`: all weights, or a LoRA adapter, which is merged in fp32 into the fp32 base before anything is
rounded.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.artifacts import Artifact, Inputs
from trainwright.contract import RunConfig
from trainwright.errors import BadInput
from trainwright.models import build_model, load_model

if TYPE_CHECKING:
    import torch

ADAPTER = "adapter_model.safetensors"


def candidate_folder(train: Artifact, step: int) -> Path:
    """Where train left the candidate of this step."""
    return train.folder / "candidates" / f"step-{step}"


def precision(config: RunConfig) -> torch.dtype:
    """The training precision, in which candidates are judged and exported."""
    import torch

    return torch.bfloat16 if config.spec.training.precision == "bf16" else torch.float32


def load_base(config: RunConfig, inputs: Inputs, *, dtype: torch.dtype) -> Any:
    """The model before training: existing weights, or those drawn from the seed."""
    folder, metrics = inputs["weights"].folder / "model", inputs["weights"].metrics
    if metrics["scratch"]:
        vocabulary_size = int(inputs["tokenize"].metrics["vocabularySize"])
        return build_model(folder, vocabulary_size=vocabulary_size, seed=config.spec.training.seed, dtype=dtype).eval()
    return load_model(folder, dtype=dtype).eval()


def load_candidate(config: RunConfig, inputs: Inputs, step: int, *, dtype: torch.dtype) -> Any:
    """The candidate of this step as one model in `dtype`; an adapter is merged in fp32 first.

    Raises:
        BadInput: the candidate is not there or cannot be loaded.
    """
    import torch

    folder = candidate_folder(inputs["train"], step)
    if not (folder / ADAPTER).exists():
        return load_model(folder, dtype=dtype).eval()
    adapted = attach_adapter(load_base(config, inputs, dtype=torch.float32), folder)
    return adapted.merge_and_unload(safe_merge=True).to(dtype).eval()


def attach_adapter(base: Any, folder: Path) -> Any:
    """The base with the LoRA adapter of `folder` beside its weights, not merged.

    Raises:
        BadInput: the adapter is broken, incomplete or made for another model.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", "Found missing adapter keys", UserWarning)
            adapted = PeftModel.from_pretrained(base, str(folder), torch_device="cpu", autocast_adapter_dtype=False)
        with safe_open(folder / ADAPTER, framework="pt") as file:
            found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"the adapter in {folder} cannot be loaded: {reason}", hint="run train again with --fresh train"
        ) from error
    wanted = {n: list(t.shape) for n, t in get_peft_model_state_dict(adapted, save_embedding_layers=False).items()}
    if wrong := sorted(name for name in wanted if found.get(name) != wanted[name]):
        raise BadInput(
            f"the adapter in {folder} lacks {len(wrong)} of {len(wanted)} tensors, first {wrong[0]}",
            hint="run train again with --fresh train",
        )
    return adapted.eval()
