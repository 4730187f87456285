"""What the validations say: which step is best, which candidates stay, whether to stop early.

It is a function of the list of validations, so a training that is resumed as often as you like judges as an
undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One validation: mean negative log-likelihood per target token, in nats. A NaN is never best."""

    step: int
    loss: float

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    def as_json(self) -> dict[str, Any]:
        """Figures that are not finite become null: JSON has none."""
        return {"step": self.step, "loss": _finite(self.loss), "perplexity": _finite(self.perplexity)}

    @staticmethod
    def of(value: dict[str, Any]) -> Validation:
        """Read back what `as_json` wrote."""
        loss = value["loss"]
        return Validation(step=int(value["step"]), loss=math.nan if loss is None else float(loss))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How far early stopping is: `bad` validations in a row without an improvement on `best`."""

    bad: int
    best: float | None


def ranked(validations: Sequence[Validation]) -> list[Validation]:
    """The trained candidates, best first; step 0 is no candidate, and what is not finite comes last."""
    trained = [validation for validation in validations if validation.step > 0]
    return sorted(trained, key=lambda v: (not math.isfinite(v.loss), v.loss if math.isfinite(v.loss) else 0.0, v.step))


def kept_steps(validations: Sequence[Validation], keep: int) -> list[int]:
    """The steps whose weights stay: the `keep` best and the last."""
    best = ranked(validations)
    last = max((validation.step for validation in best), default=None)
    return sorted({validation.step for validation in best[:keep]} | ({last} if last is not None else set()))


def patience_after(validations: Sequence[Validation], min_delta: float) -> Patience:
    """Count the validations in a row that did not improve on the best by more than `min_delta`.

    Step 0 counts as the first best: a training that only makes the model worse stops too.
    """
    best, bad = None, 0
    for validation in validations:
        if math.isfinite(validation.loss) and (best is None or validation.loss < best - min_delta):
            best, bad = validation.loss, 0
        else:
            bad += 1
    return Patience(bad=bad, best=best)
