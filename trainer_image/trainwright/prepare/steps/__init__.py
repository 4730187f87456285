"""The steps that judge and change conversations, in the order they run. A new step is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainwright.prepare.batch import Batch
from trainwright.prepare.steps import clean, dialogue
from trainwright.prepare.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A named, switchable piece of preparation that sees one batch of conversations at a time."""

    name: str
    apply: Callable[[Batch, Work], None]
    is_on: Callable[[Work], bool] = lambda work: True


STEPS: tuple[Step, ...] = (
    Step(name="dialogue", apply=dialogue.apply),
    Step(name="clean", apply=clean.apply, is_on=lambda work: work.prepare.clean.enabled),
)
