"""The network that is trained: existing weights or weights drawn from the seed, with or without LoRA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainwright.api import Spec
from trainwright.api.training import Lora
from trainwright.errors import BadInput
from trainwright.models import build_model, load_model

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A causal language model of transformers and what is trained of it."""

    module: Any
    dtype: torch.dtype
    """Of the arithmetic and, without LoRA, of the weights that are kept."""
    lora: Any
    """peft's configuration; None: all weights are trained."""

    def trainable(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """The trained parameters by name; a tied one comes once."""
        return ((name, parameter) for name, parameter in self.module.named_parameters() if parameter.requires_grad)


def make_network(spec: Spec, folder: Path, *, scratch: bool, vocabulary_size: int) -> Network:
    """Bring the model of `folder` into memory, ready for training.

    Drawn weights and adapters are fp32, so that their masters begin with what was drawn; the engine casts.
    The draws depend on the seed alone: equal on all ranks and for any number of them.
    """
    training = spec.training
    dtype = DTYPES[training.precision]
    if scratch:
        module = build_model(folder, vocabulary_size=vocabulary_size, seed=training.seed, dtype=torch.float32)
    else:
        module = load_model(folder, dtype=dtype)
    lora = None
    if training.lora is not None:
        _refuse_tied(training.lora, module)
        lora = lora_config(training.lora)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            module = with_adapters(module, lora)
    module.train()
    return Network(module=module, dtype=dtype, lora=lora)


def _refuse_tied(lora: Lora, module: Any) -> None:
    """Adapters on one of two tied layers cannot be merged: the other would change too, as it did not in training."""
    embeddings = [name for name in lora.targets if name.rpartition(".")[2] in ("embed_tokens", "lm_head")]
    if embeddings and module.config.tie_word_embeddings:
        raise BadInput(
            f"training.lora.targets: {embeddings[0]} is tied to the other embedding and cannot be adapted alone",
            hint="leave it out, or train all weights: remove training.lora",
        )


def lora_config(lora: Lora) -> Any:
    """peft's configuration for `training.lora`."""
    from peft import LoraConfig

    settings: dict[str, Any] = {"r": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
    return LoraConfig(**settings, target_modules=list(lora.targets) or "all-linear", task_type="CAUSAL_LM")


def with_adapters(module: torch.nn.Module, lora: Any) -> torch.nn.Module:
    """The module with fresh adapters beside its frozen weights."""
    from peft import get_peft_model

    adapted: torch.nn.Module = get_peft_model(module, lora).get_base_model()
    return adapted
