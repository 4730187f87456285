"""Memory of one training device, split into what holds it, for ZeRO stages 0 to 3.

Weights, gradients and optimiser state follow the ZeRO paper (Rajbhandari et al., 2020, arXiv:1910.02054, sections 3.1
and 5): with Ψ parameters trained in 16 bits by Adam they take 2Ψ, 2Ψ and 12Ψ bytes (fp32 master weights, momentum,
variance); stages 1, 2 and 3 divide optimiser state, then gradients, then weights by the number of devices.
Activations are counted from the shape.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainwright.plan.shape import Shape

OPTIMISER_BYTES_PER_PARAMETER = 12
LOGITS_AT_ONCE = 1 << 26
"""Logits that exist at once: train computes the loss of labelled tokens in chunks of so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How training is laid out on the devices; no result depends on it."""

    devices: int
    zero_stage: int
    micro_batch: int
    """Sequences a device works on at once."""
    checkpointing: bool = False
    """Activations are computed again in the backward pass instead of kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """Bytes on one device."""

    weights: int
    gradients: int
    optimiser: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of it, without the runtime's own share."""
        return self.weights + self.gradients + self.optimiser + self.activations + self.logits


def device_memory(
    shape: Shape, layout: Layout, *, trainable: int, sequence_length: int, bytes_per_value: int
) -> DeviceMemory:
    """Count the bytes on one device; `bytes_per_value` is 2 for bf16 and 4 for fp32."""
    share = [1 if layout.zero_stage < stage else layout.devices for stage in (1, 2, 3)]
    tokens = layout.micro_batch * sequence_length
    return DeviceMemory(
        weights=bytes_per_value * shape.parameters // share[2],
        gradients=bytes_per_value * trainable // share[1],
        optimiser=OPTIMISER_BYTES_PER_PARAMETER * trainable // share[0],
        activations=tokens * activation_bytes_per_token(shape, bytes_per_value, checkpointing=layout.checkpointing),
        logits=logit_bytes(shape, tokens, bytes_per_value),
    )


def activation_bytes_per_token(shape: Shape, bytes_per_value: int, *, checkpointing: bool) -> int:
    """Count what the backward pass needs of one token, over all layers.

    A layer of hidden size h and feed-forward size f keeps, in values: the normalised input of two norms, before and
    after their scale (4h), queries and the attention's output (2q), keys and values (2k), and gate, up, their
    activation and product (4f); besides the fp32 inputs of the norms (8h bytes). Attention itself keeps nothing more:
    its weights are computed again (FlashAttention, arXiv:2205.14135). With checkpointing only a layer's input stays,
    and one layer at a time is whole (Korthikanti et al., 2022, arXiv:2205.05198, section 5).
    """
    hidden = shape.hidden
    norm = bytes_per_value * 2 * hidden + 4 * hidden
    linear = bytes_per_value * (2 * shape.query_width + 2 * shape.key_width + 4 * shape.feed_forward)
    layer = 2 * norm + linear
    if checkpointing:
        return shape.layers * bytes_per_value * hidden + layer + norm
    return shape.layers * layer + norm


def logit_bytes(shape: Shape, tokens: int, bytes_per_value: int) -> int:
    """Count the logits of one chunk of labelled tokens, in the training precision, and their fp32 copy and gradient."""
    return min(tokens * shape.vocabulary, LOGITS_AT_ONCE) * (bytes_per_value + 8)
