"""map: the first phase, one slice at a time: canonical rows → rows that passed every step, and those that did not.

Leaves `mapped/` and `dropped/` in the folder of work, and returns what each step counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainwright.prepare.batch import Batch, Tally
from trainwright.prepare.slices import Slice
from trainwright.prepare.steps import STEPS
from trainwright.prepare.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class MapTask:
    """One slice to take through the steps."""

    work: Work
    slice: Slice


def map_slice(task: MapTask) -> list[Tally]:
    """Run all steps that are on over one slice."""
    work = task.work
    batch = Batch(task.slice.read(), work.spared)
    tallies = []
    for step in STEPS:
        if step.is_on(work):
            tallies.append(batch.begin(step.name))
            step.apply(batch, work)
            batch.end()
    batch.kept_rows().write_parquet(task.slice.path(work.folder, "mapped"), compression="lz4")
    batch.dropped_rows().write_parquet(task.slice.path(work.folder, "dropped"), compression="lz4")
    return tallies
