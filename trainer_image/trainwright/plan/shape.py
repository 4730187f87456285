"""The shape of a decoder as the plan needs it, from a config.json, and what LoRA adds to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a decoder of the Llama kind, in values."""

    parameters: int
    layers: int
    hidden: int
    feed_forward: int
    query_width: int
    """Heads × head size."""
    key_width: int
    """Key/value heads × head size."""
    vocabulary: int
    max_positions: int


def shape_of(config: Mapping[str, Any], parameters: int) -> Shape:
    """Read the shape from a config.json; `parameters` is `models.parameter_count` of the same config."""
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    return Shape(
        parameters=parameters,
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        feed_forward=config["intermediate_size"],
        query_width=heads * head_size,
        key_width=(config.get("num_key_value_heads") or heads) * head_size,
        vocabulary=config["vocab_size"],
        max_positions=config.get("max_position_embeddings", 2048),
    )


def lora_parameters(shape: Shape, rank: int, targets: Sequence[str] = ()) -> int:
    """Count the trainable parameters of LoRA: rank × (inputs + outputs) of each adapted matrix.

    No targets means all seven linear layers of a block; other names count nothing. From Hu et al., 2021,
    arXiv:2106.09685, section 4.1.
    """
    hidden, feed_forward = shape.hidden, shape.feed_forward
    sizes = {
        "q_proj": hidden + shape.query_width,
        "k_proj": hidden + shape.key_width,
        "v_proj": hidden + shape.key_width,
        "o_proj": shape.query_width + hidden,
        "gate_proj": hidden + feed_forward,
        "up_proj": hidden + feed_forward,
        "down_proj": feed_forward + hidden,
    }
    return shape.layers * rank * sum(size for name, size in sizes.items() if not targets or name in targets)
