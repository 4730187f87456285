"""Which packs each step trains on: a fixed permutation per epoch, cut into steps, shared out to ranks.

The packs of a step depend on the seed and the data alone, never on the number of ranks: rank r of W takes packs r, r
+ W, …
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Packs = npt.NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class Order:
    """The way through the packs.

    `packs` are the numbers of those with a target. `last` is how many are trained on in all; None: as the steps need.
    `anchor_step` steps have taken `anchor_packs` packs before; both are 0 unless another run's checkpoint is continued.
    """

    packs: Packs
    seed: int
    packs_per_step: int
    last: int | None
    anchor_step: int = 0
    anchor_packs: int = 0
    _epoch: int = field(default=-1, init=False)
    _permutation: Packs = field(default_factory=lambda: np.empty(0, np.int64), init=False)

    def taken_after(self, step: int) -> int:
        """How many packs the steps up to `step` have taken."""
        taken = self.anchor_packs + (step - self.anchor_step) * self.packs_per_step
        return taken if self.last is None else min(taken, self.last)

    def of_step(self, step: int) -> Packs:
        """The packs of `step`, counted from 1; the last step of an epoch-bound training may have fewer."""
        places = range(self.taken_after(step - 1), self.taken_after(step))
        return np.array([self._pack(place) for place in places], np.int64)

    def _pack(self, place: int) -> int:
        epoch, within = divmod(place, len(self.packs))
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, self.packs[permutation(self.seed, epoch, len(self.packs))]
        return int(self._permutation[within])

    def as_json(self, step: int) -> dict[str, Any]:
        """The position after `step`, for a checkpoint's manifest."""
        return {"anchorStep": self.anchor_step, "anchorPacks": self.anchor_packs, "packs": self.taken_after(step)}


def permutation(seed: int, epoch: int, count: int) -> Packs:
    """A permutation of `count` packs that depends on seed and epoch alone.

    numpy guarantees the stream of RandomState across its versions, that of Generator it does not (NEP 19).
    """
    bits = np.random.MT19937(np.random.SeedSequence([seed, epoch]))
    return np.random.RandomState(bits).permutation(count).astype(np.int64)


def share(packs: Packs, rank: int, ranks: int) -> Packs:
    """The packs of one rank."""
    return packs[rank::ranks]
