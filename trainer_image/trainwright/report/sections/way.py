"""The way of the run: every stage with its state, what went in and came out, when it ran and how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from trainwright.contract import STAGES, stages_of
from trainwright.report import charts, wording
from trainwright.report.outputs import Outputs, number, records
from trainwright.report.sections.summary import total_seconds


def way(outputs: Outputs) -> dict[str, Any]:
    """One line for each stage of the run, in order; the report itself is not among them."""
    wanted = {stage.name for stage in stages_of(outputs.config.spec)}
    begin, end = _span(outputs)
    lines = []
    for stage in STAGES[:-1]:
        if stage.name not in wanted and stage.name != "index":
            continue
        lines.append(
            {
                "name": stage.name,
                "state": _state(outputs, stage.name, wanted),
                "what": _what(outputs, stage.name),
                "seconds": wording.duration(outputs.fact(stage.name, "seconds")),
                "cpu": _cpu(outputs, stage.name),
                "bar": _bar(outputs, stage.name, begin, end),
                "starts": number(outputs.fact(stage.name, "attempt")) or 1,
            }
        )
    return {"stages": lines, "total": wording.duration(total_seconds(outputs)), "gaps": _has_gaps(outputs, begin, end)}


def _state(outputs: Outputs, name: str, wanted: set[str]) -> str:
    if name in outputs.stages:
        reused = any(
            line.get("stage") == name and line.get("will") == "reused" for line in records(outputs.plan.get("stages"))
        )
        return "reused" if reused else "done"
    return "not finished" if name in wanted else "off"


def _what(outputs: Outputs, name: str) -> str:
    if name not in outputs.stages:
        return ""
    told = WHAT[name](outputs)
    return told or str(outputs.fact(name, "message") or "")


def _weights(outputs: Outputs) -> str:
    parameters, kind = outputs.metric("weights", "parameters"), outputs.metric("weights", "architecture")
    if not wording.is_number(parameters):
        return ""
    how = "a shape with" if outputs.metric("weights", "scratch") else "verified weights with"
    return f"{how} {wording.compact(parameters)} parameters" + (f", {kind}" if kind else "")


def _ingest(outputs: Outputs) -> str:
    counts, sources = outputs.counts("ingest"), len(outputs.config.spec.data.sources)
    bad = counts.get("bad", 0)
    return (
        f"{sources} source{'s' if sources > 1 else ''} → {wording.count(counts.get('exchanges'))} exchanges"
        f", {wording.count(bad)} bad row{'' if bad == 1 else 's'}"
    )


def _prepare(outputs: Outputs) -> str:
    counts = outputs.counts("prepare")
    if "rowsKept" not in counts:
        return ""
    parts = [f"{wording.count(counts[split])} {split}" for split in ("train", "validation", "test") if split in counts]
    return f"{wording.count(counts.get('rowsIn'))} → {wording.count(counts['rowsKept'])} exchanges: {', '.join(parts)}"


def _tokenize(outputs: Outputs) -> str:
    counts = outputs.counts("tokenize")
    waste = outputs.metric("tokenize", "packingWaste")
    packs = f" in {wording.count(counts['packs'])} packs" if "packs" in counts else ""
    return f"{wording.compact(counts.get('tokens'))} tokens{packs}" + (
        f", {wording.share(waste)} padding" if wording.is_number(waste) else ""
    )


def _index(outputs: Outputs) -> str:
    width = wording.count(outputs.metric("index", "width"))
    return (
        f"{wording.count(outputs.counts('index').get('exchanges'))} exchanges to search in, {width}-dimensional vectors"
    )


def _train(outputs: Outputs) -> str:
    steps, ended = outputs.metric("train", "steps"), outputs.metric("train", "ended")
    speed = outputs.metric("train", "tokensPerSecond")
    why = {"maxSteps": "all steps done", "epochs": "all epochs done", "earlyStopping": "stopped early"}.get(
        str(ended), ""
    )
    parts = [
        f"{wording.count(steps)} steps",
        f"{wording.compact(speed)} tokens/s" if wording.is_number(speed) else "",
        why,
    ]
    return ", ".join(part for part in parts if part)


def _evaluate(outputs: Outputs) -> str:
    candidates, step = outputs.counts("evaluate").get("candidates"), outputs.number("evaluate", "best", "step")
    if candidates is None or step is None:
        return ""
    return f"{candidates} candidate{'' if candidates == 1 else 's'}; the winner is of step {wording.count(step)}"


def _export(outputs: Outputs) -> str:
    size, loss = outputs.metric("export", "bytes"), outputs.metric("export", "reloadLoss")
    reload = f", reloaded in a clean process with loss {wording.figure(loss)}" if wording.is_number(loss) else ""
    return f"{wording.size(size)}{reload}" if wording.is_number(size) else ""


WHAT: dict[str, Callable[[Outputs], str]] = {
    "weights": _weights,
    "ingest": _ingest,
    "prepare": _prepare,
    "tokenize": _tokenize,
    "index": _index,
    "train": _train,
    "evaluate": _evaluate,
    "export": _export,
}


def _cpu(outputs: Outputs, name: str) -> str:
    seconds = outputs.fact(name, "cpuSeconds")
    return wording.duration(seconds) if wording.is_number(seconds) else ""


def _moment(outputs: Outputs, name: str, fact: str) -> float | None:
    try:
        return datetime.fromisoformat(str(outputs.fact(name, fact))).timestamp()
    except ValueError:
        return None


def _span(outputs: Outputs) -> tuple[float, float]:
    """From the first start to the last end."""
    starts = [moment for name in outputs.stages if (moment := _moment(outputs, name, "started")) is not None]
    ends = [moment for name in outputs.stages if (moment := _moment(outputs, name, "finished")) is not None]
    return (min(starts), max(ends)) if starts and ends else (0.0, 0.0)


def _has_gaps(outputs: Outputs, begin: float, end: float) -> bool:
    """Whether the stages ran in several sittings: then bars over the clock would show mostly the gaps."""
    return end - begin > 1.5 * (total_seconds(outputs) or 0.0) + 60


def _bar(outputs: Outputs, name: str, begin: float, end: float) -> Any:
    """Where in the run the stage ran; its share of the whole time if the run had several sittings."""
    seconds, start = outputs.fact(name, "seconds"), _moment(outputs, name, "started")
    if not wording.is_number(seconds) or start is None:
        return None
    if _has_gaps(outputs, begin, end):
        total = total_seconds(outputs) or 1.0
        names = list(outputs.stages)
        before = [outputs.fact(other, "seconds") or 0.0 for other in names[: names.index(name)]]
        return charts.bar([("time", sum(before) / total, seconds / total)])
    span = max(end - begin, 1.0)
    return charts.bar([("time", (start - begin) / span, seconds / span)])
