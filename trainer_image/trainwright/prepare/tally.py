"""What a step did, counted in exchanges. Tallies of slices are summed into those of steps.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Tally:
    """One step: exchanges that entered and left, what was taken and why, what was changed."""

    step: str
    entered: int = 0
    left: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Exchanges taken, by reason; they sum to entered - left."""
    changed: Counter[str] = field(default_factory=Counter)
    """Turns that were changed, or only noticed, by what was done or found."""
    spared: Counter[str] = field(default_factory=Counter)
    """Exchanges of evaluation sources that would have been taken."""
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Exchanges taken, by source and reason."""

    def add(self, other: Tally) -> None:
        """Add what the same step did elsewhere."""
        self.entered += other.entered
        self.left += other.left
        self.reasons.update(other.reasons)
        self.changed.update(other.changed)
        self.spared.update(other.spared)
        self.sources.update(other.sources)

    def as_json(self) -> dict[str, Any]:
        """The entry of the step in steps.json; what is 0 is left out of the inner counts."""
        return {
            "step": self.step,
            "in": self.entered,
            "out": self.left,
            "reasons": _nonzero(self.reasons),
            "changed": _nonzero(self.changed),
            "spared": _nonzero(self.spared),
        }


def merge(tallies: Iterable[Tally]) -> list[Tally]:
    """Sum tallies by step, in the order in which steps first occur."""
    merged: dict[str, Tally] = {}
    for tally in tallies:
        merged.setdefault(tally.step, Tally(step=tally.step)).add(tally)
    return list(merged.values())


def _nonzero(counter: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counter.items()) if count}
