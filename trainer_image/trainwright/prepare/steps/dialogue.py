"""dialogue: a conversation needs at least one response to learn from."""

from __future__ import annotations

from trainwright.prepare.batch import Batch
from trainwright.prepare.work import Work


def apply(batch: Batch, work: Work) -> None:
    """Take conversations that come without any target."""
    batch.drop(~batch.rows_with(batch.targets), "noResponse")
