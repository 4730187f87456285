"""A signal of overfitting from the curves: validation loss above its minimum while training loss went on falling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

MARGIN = 0.02
"""The last validation loss must lie so much (share) above the lowest: validation noise is mostly below 1 %."""
WINDOW = 5
"""Training steps averaged on each side, at least."""


def overfitting(evaluations: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare the curves at the lowest validation loss and at the end: {signal, message}.

    `evaluations` are {step, loss} with step 0 before training, `steps` {step, loss} of training, both in order.
    """
    points = [(int(point["step"]), float(point["loss"])) for point in evaluations if point.get("loss") is not None]
    if len(points) < 2 or not steps:
        return {"signal": False, "message": "too few validations to tell"}
    best_step, lowest = min(points, key=lambda point: point[1])
    last_step, last = points[-1]
    risen = last / lowest - 1 if lowest > 0 else 0.0
    window = max(WINDOW, min(b[0] - a[0] for a, b in pairwise(points)))
    then, now = _training_loss(steps, best_step, window), _training_loss(steps, last_step, window)
    if risen > MARGIN and now < then:
        return {
            "signal": True,
            "message": f"validation loss rose by {risen:.1%} from {lowest:.4f} at step {best_step} to {last:.4f} "
            f"at step {last_step} while training loss fell from {then:.4f} to {now:.4f}: "
            "fewer epochs or more data would help",
        }
    how = f"{risen:.1%} above" if risen > 0 else "at"
    return {
        "signal": False,
        "message": f"validation loss ended {how} its lowest value, {lowest:.4f} at step {best_step}",
    }


def _training_loss(steps: Sequence[Mapping[str, Any]], until: int, window: int) -> float:
    """The mean loss of the last `window` steps up to `until` (the first ones if `until` is before them)."""
    before = [float(step["loss"]) for step in steps if int(step["step"]) <= until]
    return fmean(before[-window:] or [float(step["loss"]) for step in steps[:window]])
