"""map, per slice: canonical rows → rows that passed every step, and those that did not.

Leaves `mapped` and `dropped` rows and counts of `grams`; returns what each step counted.
"""

from __future__ import annotations

from trainwright.prepare.batch import Batch
from trainwright.prepare.duplicates.boilerplate import count_grams
from trainwright.prepare.steps import STEPS
from trainwright.prepare.tally import Tally
from trainwright.prepare.work import SliceTask


def map_slice(task: SliceTask) -> list[Tally]:
    """Run all steps that are on over one slice."""
    work, piece = task.work, task.slice
    batch = Batch(piece.read(), work.spared)
    tallies = []
    for step in STEPS:
        if step.is_on(work):
            tallies.append(batch.begin(step.name))
            step.apply(batch, work)
            batch.end()
    rows = batch.kept_rows()
    piece.save(work.folder, "mapped", rows)
    piece.save(work.folder, "dropped", batch.dropped_rows())
    piece.save(work.folder, "grams", count_grams(rows, work.rates))
    return tallies
