"""The count of activation bytes, against what autograd really keeps of a packed Llama."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trainwright import models
from trainwright.plan.memory import activation_bytes_per_token
from trainwright.plan.shape import shape_of
from transformers import LlamaConfig, LlamaForCausalLM

TOKENS = 256
SHAPE = {
    **models.PRESETS["llama-tiny"],
    "vocab_size": 300,
    "hidden_size": 192,
    "intermediate_size": 500,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
}


def kept_bytes(dtype: torch.dtype) -> int:
    """Bytes of the tensors that the backward pass of the layers holds, weights aside."""
    model: Any = LlamaForCausalLM(LlamaConfig(**SHAPE)).to(dtype)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    tokens_BT = torch.zeros((1, TOKENS), dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.model(tokens_BT, position_ids=torch.arange(TOKENS)[None], attention_mask=None, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)


@pytest.mark.parametrize(("dtype", "bytes_per_value"), [(torch.bfloat16, 2), (torch.float32, 4)])
def test_the_count_is_within_2_percent_of_what_autograd_keeps(dtype: torch.dtype, bytes_per_value: int) -> None:
    shape = shape_of(SHAPE, models.parameter_count(SHAPE))
    counted = TOKENS * activation_bytes_per_token(shape, bytes_per_value, checkpointing=False)
    assert counted == pytest.approx(kept_bytes(dtype), rel=0.02)
