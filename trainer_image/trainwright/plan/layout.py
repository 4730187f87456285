"""Choose how training is laid out on devices: the smallest ZeRO stage and the largest micro-batch that fit."""

from __future__ import annotations

from dataclasses import dataclass

from trainwright.plan.memory import Layout, device_memory
from trainwright.plan.shape import Shape
from trainwright.plan.values import MemoryLine

USABLE_SHARE = 0.9
"""Share of a device's memory that the plan fills; the rest is for the runtime, its buffers and fragmentation."""
MICRO_BATCH_TOKENS = 16_384
"""Tokens from which a larger micro-batch gains little: llm-foundry's fastest for 3 B on A100-80GB has about 20,000."""
CPU_MICRO_BATCH_TOKENS = 2048
"""The same for a CPU: from there on the fixed cost of a pass no longer counts."""
STAGES = (1, 2, 3)
"""Stage 0 is never chosen: stage 1 sends as much (ZeRO paper, section 7) and holds less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What has to fit: a model and how it is trained."""

    shape: Shape
    trainable: int
    sequence_length: int
    bytes_per_value: int
    packs_a_step: int
    devices: int
    memory_bytes: int | None
    """Of one device."""
    micro_batch_tokens: int = MICRO_BATCH_TOKENS
    """Most tokens that a device works on at once, if a sequence is not longer."""
    micro_batch: int | None = None
    """Set by `cluster.microBatch`; None: the largest that fits."""
    zero_stage: int | None = None
    checkpointing: bool | None = None


def memory_table(training: Training) -> tuple[MemoryLine, ...]:
    """One line per ZeRO stage from 0 to 3, at the largest micro-batch that fits, or at the smallest if none does."""
    return tuple(_best_of_stage(training, stage) for stage in (0, *STAGES))


def choose(training: Training) -> MemoryLine | None:
    """The layout to train with: stage by stage without activation checkpointing, then with it; None: nothing fits."""
    stages = STAGES if training.zero_stage is None else (training.zero_stage,)
    for checkpointing in _checkpointing(training):
        for stage in stages:
            for micro_batch in _micro_batches(training):
                line = _line(training, stage, micro_batch, checkpointing=checkpointing)
                if line.fits is not False:
                    return line
    return None


def _best_of_stage(training: Training, stage: int) -> MemoryLine:
    for checkpointing in _checkpointing(training):
        for micro_batch in _micro_batches(training):
            line = _line(training, stage, micro_batch, checkpointing=checkpointing)
            if line.fits is not False:
                return line
    return line


def _checkpointing(training: Training) -> tuple[bool, ...]:
    return (False, True) if training.checkpointing is None else (training.checkpointing,)


def _micro_batches(training: Training) -> tuple[int, ...]:
    """Micro-batches to try, largest first: powers of two up to a device's share of a step."""
    if training.micro_batch is not None:
        return (training.micro_batch,)
    share = -(-training.packs_a_step // training.devices)
    limit = max(1, min(share, training.micro_batch_tokens // training.sequence_length))
    return tuple(2**n for n in range(limit.bit_length() - 1, -1, -1))


def _line(training: Training, stage: int, micro_batch: int, *, checkpointing: bool) -> MemoryLine:
    layout = Layout(devices=training.devices, zero_stage=stage, micro_batch=micro_batch, checkpointing=checkpointing)
    memory = device_memory(
        training.shape,
        layout,
        trainable=training.trainable,
        sequence_length=training.sequence_length,
        bytes_per_value=training.bytes_per_value,
    )
    fits = None if training.memory_bytes is None else memory.total <= USABLE_SHARE * training.memory_bytes
    return MemoryLine(layout=layout, memory=memory, fits=fits)
