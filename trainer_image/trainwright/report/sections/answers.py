"""Answers: exchanges of the validation rows as the model answered them before and after training."""

from __future__ import annotations

from typing import Any

from trainwright.report.outputs import Outputs

SHOWN, OPEN = 24, 4
LONGEST = 1_200
"""Characters of one text; the rest is cut, and an ellipsis says so."""


def answers(outputs: Outputs) -> dict[str, Any] | None:
    """The first examples; None if there are none or texts are to be left out."""
    examples = outputs.file("evaluate", "examples.json") if outputs.examples else None
    if not isinstance(examples, list) or not examples:
        return None
    shown = [_cut(example) for example in examples[:SHOWN] if isinstance(example, dict)]
    return {"first": shown[:OPEN], "more": shown[OPEN:], "total": len(examples)}


def _cut(example: dict[str, Any]) -> dict[str, str | None]:
    texts: dict[str, str | None] = {}
    for name in ("prompt", "reference", "before", "after"):
        text = example.get(name)
        texts[name] = None if text is None else str(text)[:LONGEST] + ("…" if len(str(text)) > LONGEST else "")
    return texts
