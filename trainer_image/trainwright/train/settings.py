"""The figures of one training, settled once from the spec, the tokens and the devices. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainwright.api import Spec
from trainwright.errors import BadInput
from trainwright.plan.steps import default_batch_tokens, packs_per_step
from trainwright.train.order import Order
from trainwright.train.rate import Rate

CPU_MICRO_BATCH_TOKENS = 2048
"""Fewer tokens at once waste a CPU on the fixed cost of a pass (gradient buckets, kernel starts)."""
DEFAULT_VALIDATIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the loop runs. `order` and `rate` say what each step trains on and how fast."""

    order: Order
    rate: Rate
    steps: int
    batch_tokens: int
    ends_by: str
    """What ends the training: maxSteps or epochs."""
    validation_steps: frozenset[int]
    micro_batch: int
    """Packs a rank works on at once."""
    checkpoint_interval_s: float | None


def settle(
    spec: Spec, *, targets_per_pack: npt.NDArray[np.int64], tokens: int, sequence_length: int, micro_batch: int
) -> Settings:
    """Settle the figures of a training that begins at step 0.

    Raises:
        BadInput: no pack has a target, so there is nothing to learn.
    """
    training = spec.training
    packs = np.flatnonzero(targets_per_pack).astype(np.int64)
    if len(packs) == 0:
        raise BadInput("the training tokens hold no target to learn", hint="look at the counts of prepare and tokenize")
    epochs = spec.epochs
    batch_tokens = training.batch_tokens or default_batch_tokens(tokens * (epochs or 1.0), sequence_length)
    a_step = packs_per_step(batch_tokens, sequence_length)
    last = None if epochs is None else max(1, math.ceil(len(packs) * epochs))
    steps = training.max_steps or math.ceil((last or 1) / a_step)
    return Settings(
        order=Order(packs=packs, seed=training.seed, packs_per_step=a_step, last=last),
        rate=Rate(
            schedule=training.schedule,
            peak=spec.peak_learning_rate,
            warmup_steps=math.ceil(training.warmup * steps),
            steps=steps,
        ),
        steps=steps,
        batch_tokens=batch_tokens,
        ends_by="epochs" if training.max_steps is None else "maxSteps",
        validation_steps=frozenset(validation_steps(steps, spec.evaluation.every)),
        micro_batch=micro_batch,
        checkpoint_interval_s=seconds(spec.checkpoint.interval) if spec.checkpoint.interval else None,
    )


def validation_steps(steps: int, every: int | None) -> Sequence[int]:
    """The steps after which the model is validated: every `every`th, or ten spread evenly, and always the last."""
    if every is not None:
        return sorted({*range(every, steps + 1, every), steps})
    return sorted({math.ceil(steps * part / DEFAULT_VALIDATIONS) for part in range(1, DEFAULT_VALIDATIONS + 1)})


def cpu_micro_batch(sequence_length: int) -> int:
    """Packs at once on a CPU: as many as hold CPU_MICRO_BATCH_TOKENS."""
    return max(1, math.ceil(CPU_MICRO_BATCH_TOKENS / sequence_length))


def seconds(duration: str) -> float:
    """Seconds of a duration such as 90s, 30m or 1h30m."""
    units = {"h": 3600, "m": 60, "s": 1}
    return float(sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([hms])", duration)))
