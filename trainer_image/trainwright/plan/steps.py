"""How many tokens make an optimiser step, and how many steps a training has: one rule for the plan and for train."""

from __future__ import annotations

import math

WANTED_STEPS = 1000
SMALLEST_BATCH_TOKENS = 8192
LARGEST_BATCH_TOKENS = 524_288


def default_batch_tokens(tokens: float, sequence_length: int) -> int:
    """Return the power of two nearest to a thousandth of all `tokens` of the training, from 8,192 to 524,288.

    It holds at least one sequence.
    """
    exponent = round(math.log2(max(1.0, tokens / WANTED_STEPS)))
    chosen = min(max(1 << exponent, SMALLEST_BATCH_TOKENS), LARGEST_BATCH_TOKENS)
    return max(chosen, 1 << (sequence_length - 1).bit_length())


def packs_per_step(batch_tokens: int, sequence_length: int) -> int:
    """Return P, the packs of one step on all devices together; no number of devices changes it."""
    return max(1, batch_tokens // sequence_length)


def step_count(packs: int, epochs: float, packs_a_step: int) -> int:
    """Return the steps of a training: its packs, epoch after epoch, cut into steps; the last one may be short."""
    return max(1, math.ceil(packs * epochs / packs_a_step))
