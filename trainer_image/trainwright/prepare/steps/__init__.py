"""The steps that judge and change conversations, in the order they run. A new step is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainwright.prepare.batch import Batch
from trainwright.prepare.steps import clean, dialogue, language, offensive, personal_data, relevance
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
    Step(name="language", apply=language.apply, is_on=lambda work: work.prepare.language.enabled),
    Step(name="relevance", apply=relevance.apply, is_on=lambda work: work.prepare.relevance.enabled),
    Step(name="offensive", apply=offensive.apply, is_on=lambda work: work.prepare.offensive.enabled),
    Step(name="personalData", apply=personal_data.apply, is_on=lambda work: work.prepare.personal_data.enabled),
)
