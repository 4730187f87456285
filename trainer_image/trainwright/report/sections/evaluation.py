"""Evaluation: every candidate's figures beside those before training, the winner on the test rows, gates, and speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright.report import wording
from trainwright.report.outputs import Outputs, mapping, records
from trainwright.report.sections.summary import NAMES, written


def evaluation(outputs: Outputs) -> dict[str, Any] | None:
    """The tables; None if nothing was evaluated."""
    if "evaluate" not in outputs.stages:
        return None
    before, best, result = (mapping(outputs.metric("evaluate", name)) for name in ("before", "best", "result"))
    candidates = records(outputs.metric("evaluate", "candidates"))
    known = [name for name in NAMES if any(name in line for line in (before, result, *candidates))]
    rows = [_row("Before training", before, known, "")] if before else []
    rows += [
        _row(
            f"Step {wording.count(line.get('step'))}",
            line,
            known,
            "winner" if line.get("step") == best.get("step") else "",
        )
        for line in candidates
    ]
    if result.get("split") == "test":
        rows.append(_row("Winner, on test rows", result, known, "result"))
    return {
        "columns": [NAMES[name] for name in known],
        "rows": rows,
        "gates": [_gate(gate) for gate in records(outputs.metric("evaluate", "gates"))],
        "signatures": mapping(outputs.metric("evaluate", "signatures")),
        "export": _export(outputs),
    }


def _row(name: str, figures: Mapping[str, Any], known: list[str], kind: str) -> dict[str, Any]:
    return {"name": name, "figures": [written(metric, figures.get(metric)) for metric in known], "kind": kind}


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    limits = [
        f"{words} {wording.factor(gate.get(end))}"
        for end, words in (("min", "at least"), ("max", "at most"))
        if gate.get(end) is not None
    ]
    metric = str(gate.get("metric"))
    return {
        "metric": NAMES.get(metric, metric),
        "limit": " and ".join(limits),
        "value": written(metric, gate.get("value")),
        "met": bool(gate.get("met")),
    }


def _export(outputs: Outputs) -> list[tuple[str, str]]:
    """What was measured of the delivered model in a clean process."""
    if "export" not in outputs.stages:
        return []
    first, speed = outputs.metric("export", "firstTokenSeconds"), outputs.metric("export", "tokensPerSecond")
    reloaded, trained = outputs.metric("export", "reloadLoss"), outputs.metric("export", "trainerLoss")
    found = [
        ("Size", wording.size(outputs.metric("export", "bytes"))),
        ("First token after", f"{first * 1000:,.0f} ms" if wording.is_number(first) else wording.NOTHING),
        ("Tokens a second, one answer at a time", wording.figure(speed, 3)),
        ("Loss of the reloaded model", wording.figure(reloaded)),
        ("Loss of the same rows in training", wording.figure(trained)),
    ]
    return [(name, value) for name, value in found if value != wording.NOTHING]
