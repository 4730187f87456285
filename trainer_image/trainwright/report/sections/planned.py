"""Plan and outcome: what was estimated before the run beside what then happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trainwright.report import wording
from trainwright.report.outputs import Outputs, records, texts


def planned(outputs: Outputs) -> dict[str, Any] | None:
    """A line for each figure that the plan gave; None without a plan."""
    lines = [*_sizes(outputs), *_times(outputs)]
    return {"lines": lines, "notes": texts(outputs.plan.get("notes"))} if lines else None


def _sizes(outputs: Outputs) -> list[dict[str, str]]:
    happened: list[tuple[str, str, Any]] = [
        ("parameters", "Parameters", outputs.metric("weights", "parameters")),
        ("exchanges", "Exchanges read", outputs.counts("ingest").get("exchanges")),
        ("trainExchanges", "Training exchanges", outputs.counts("prepare").get("train")),
        ("train_exchanges", "Training exchanges", outputs.counts("prepare").get("train")),
        ("tokens", "Tokens an epoch", outputs.counts("tokenize").get("tokens")),
        ("steps", "Steps", outputs.metric("train", "steps")),
    ]
    return [
        line
        for key, name, value in happened
        if (line := _line(name, outputs.plan.get(key), value, wording.count)) is not None
    ]


def _times(outputs: Outputs) -> list[dict[str, str]]:
    named = {str(line.get("name")): line.get("figure") for line in records(outputs.plan.get("times"))}
    found = []
    for stage in outputs.stages:
        line = _line(f"Time of {stage}", named.get(stage), outputs.fact(stage, "seconds"), wording.duration)
        found += [line] if line else []
    if not found and outputs.plan.get("duration_s") is not None:
        line = _line("Time of train", outputs.plan["duration_s"], outputs.fact("train", "seconds"), wording.duration)
        found += [line] if line else []
    return found


def _line(name: str, planned: Any, happened: Any, written: Callable[[Any], str]) -> dict[str, str] | None:
    basis = str(planned.get("basis") or "") if isinstance(planned, Mapping) else ""
    value = planned.get("value") if isinstance(planned, Mapping) else planned
    if not wording.is_number(value):
        return None
    ratio = happened / value if wording.is_number(happened) and value else None
    return {
        "name": name,
        "planned": written(value),
        "basis": basis,
        "happened": written(happened),
        "ratio": f"× {wording.figure(ratio, 3)}" if ratio is not None else wording.NOTHING,
    }
