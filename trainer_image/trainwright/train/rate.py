"""The learning rate of each step: warm-up, then cosine, linear or constant, by steps alone.

A curve begins at its anchor, usually step 0 with rate 0. A training that goes on from another run's checkpoint with
another length, peak or schedule is anchored where that run stopped: the rate goes on from there without a jump and
ends at 0 all the same, so the new length only stretches or shortens what is left.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A curve over steps 1 to `steps`; the last step's rate is the floor, 0 (Constant: the peak)."""

    schedule: Literal["Cosine", "Linear", "Constant"]
    peak: float
    warmup_steps: int
    steps: int
    anchor_step: int = 0
    anchor_rate: float = 0.0

    def at(self, step: int) -> float:
        """The rate of `step`, counted from 1."""
        start, height = self.anchor_step, self.anchor_rate
        if start < self.warmup_steps:
            if step <= self.warmup_steps:
                return height + (self.peak - height) * (step - start) / (self.warmup_steps - start)
            start, height = self.warmup_steps, self.peak
        elif start == 0:
            height = self.peak
        if self.schedule == "Constant":
            return height
        left = 1.0 - min(1.0, (step - start) / max(1, self.steps - start))
        return height * (left if self.schedule == "Linear" else 0.5 - 0.5 * math.cos(math.pi * left))

    def going_on_from(self, earlier: Rate, step: int) -> Rate:
        """This curve after `step` steps of an earlier one: the same curve if nothing changed, else anchored there."""
        if replace(earlier, anchor_step=0, anchor_rate=0.0) == self:
            return earlier
        return replace(self, anchor_step=step, anchor_rate=earlier.at(step) if step else 0.0)

    def as_json(self) -> dict[str, Any]:
        """Every field, for a checkpoint's manifest."""
        return asdict(self)
