"""map, per slice: canonical rows → rows that passed every step, and those that did not.

Leaves `mapped` and `dropped` rows; returns what each step counted, and the exchanges left of each source.
"""

from __future__ import annotations

from collections import Counter

from trainwright.prepare.batch import Batch
from trainwright.prepare.steps import STEPS
from trainwright.prepare.tally import Tally
from trainwright.prepare.work import SliceTask


def map_slice(task: SliceTask) -> tuple[list[Tally], Counter[str]]:
    """Run all steps that are on over one slice."""
    work, piece = task.work, task.slice
    batch = Batch(piece.read(), work.spared)
    tallies = []
    for step in STEPS:
        if step.is_on(work):
            tallies.append(batch.begin(step.name))
            step.apply(batch, work)
            batch.end()
    piece.save(work.folder, "mapped", batch.kept_rows())
    piece.save(work.folder, "dropped", batch.dropped_rows())
    return tallies, batch.exchanges_by_source(batch.turns)
