"""Share of probes that are met, 0 to 1, as a module for `evaluate.load(path)`.

A probe is met if its answer contains the expected text; case and Unicode composition are ignored.
"""

from __future__ import annotations

import unicodedata

import evaluate
from trainwright.evaluate.metric_info import metric_info


class Probes(evaluate.Metric):  # type: ignore[misc]
    """`compute(predictions, references)` → {probes: 0..1, met: [bool]}; references are what answers must contain."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(
            "Share of answers that contain the expected text, case ignored.",
            "predictions: answers; references: what each must contain",
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float | list[bool]]:
        met = [_plain(expected) in _plain(answer) for answer, expected in zip(predictions, references, strict=True)]
        return {"probes": sum(met) / len(met), "met": met}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
