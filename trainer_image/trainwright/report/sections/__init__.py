"""The sections of the page, in reading order.

Each is a function of the outputs that returns what its template shows, or None if the run has nothing of the kind;
its template is templates/sections/NAME.html.j2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainwright.report.outputs import Outputs
from trainwright.report.sections.answers import answers
from trainwright.report.sections.curves import curves
from trainwright.report.sections.data import data
from trainwright.report.sections.evaluation import evaluation
from trainwright.report.sections.lineage import lineage
from trainwright.report.sections.planned import planned
from trainwright.report.sections.way import way

SECTIONS: tuple[tuple[str, str, Callable[[Outputs], dict[str, Any] | None]], ...] = (
    ("way", "Way of the run", way),
    ("curves", "Learning", curves),
    ("evaluation", "Evaluation", evaluation),
    ("answers", "Answers", answers),
    ("data", "Data", data),
    ("planned", "Plan and outcome", planned),
    ("lineage", "Lineage", lineage),
)
"""Name of the template, heading, function."""
