"""Gates: limits for the winner's figures on the test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainwright.api.evaluation import Gate
from trainwright.errors import QualityGate


def judge(gates: Sequence[Gate], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare each gate with the result: {metric, min, max, value, met}; a figure that does not exist meets nothing."""
    return [
        {
            "metric": gate.metric,
            "min": gate.min,
            "max": gate.max,
            "value": (value := result.get(gate.metric)),
            "met": value is not None
            and (gate.min is None or value >= gate.min)
            and (gate.max is None or value <= gate.max),
        }
        for gate in gates
    ]


def refuse_missed(judged: Sequence[Mapping[str, Any]], *, weights: Path, rows: str, figures: Path) -> None:
    """Raise if a gate is missed; `figures` is the folder with figures.json and the answers.

    Raises:
        QualityGate: names each missed metric with value and limit, and where weights and figures lie.
    """
    missed = [gate for gate in judged if not gate["met"]]
    if missed:
        raise QualityGate(
            f"{len(missed)} of {len(judged)} gates missed on {rows} rows: {'; '.join(map(_told, missed))}. "
            f"The weights stay in {weights}, all figures and answers in {figures}",
            hint="train longer, improve the data, or change evaluation.gates (only evaluate runs again)",
        )


def _told(gate: Mapping[str, Any]) -> str:
    limits = [
        f"{word} {gate[end]:g}" for word, end in (("at least", "min"), ("at most", "max")) if gate[end] is not None
    ]
    value = "not measured" if gate["value"] is None else f"{gate['value']:.4g}"
    return f"{gate['metric']} is {value}, wanted {' and '.join(limits)}"
