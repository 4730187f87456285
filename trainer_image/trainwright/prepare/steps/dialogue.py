"""dialogue: a conversation needs at least one response to learn from."""

from __future__ import annotations

import numpy as np

from trainwright.prepare.batch import Batch
from trainwright.prepare.work import Work


def apply(batch: Batch, work: Work) -> None:
    """Take conversations that come without any target."""
    targets = batch.rows_with(batch.turns["train"].to_numpy())
    batch.drop(~targets & np.ones_like(targets), "noResponse")
