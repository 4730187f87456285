"""Data: where the exchanges are from, what every step dropped and why, and what the kept ones are like."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from trainwright.contract import source_names
from trainwright.report import charts, wording
from trainwright.report.outputs import Outputs, mapping, number, numbers

LONGEST_LIST = 12


def data(outputs: Outputs) -> dict[str, Any] | None:
    """Tables and charts of ingest, prepare and tokenize; None if no rows were read."""
    if "ingest" not in outputs.stages and "prepare" not in outputs.stages:
        return None
    counts = outputs.counts("prepare")
    lengths = mapping(outputs.metric("prepare", "lengths"))
    return {
        "sources": _sources(outputs),
        "steps": _steps(outputs),
        "reasons": _reasons(outputs),
        "unread": _unread(outputs),
        "splits": _shares(
            {split: counts[split] for split in ("train", "validation", "test") if counts.get(split)}, by_size=False
        ),
        "languages": _shares(_named(outputs.metric("prepare", "languages"))),
        "kept": [
            (wording.title_of(name), _shares(values))
            for name, values in mapping(outputs.metric("prepare", "kept")).items()
        ],
        "lengths": [
            (f"{name.capitalize()} length", _histogram(lengths[name], name))
            for name in ("prompt", "response")
            if name in lengths
        ],
        "tokens": _tokens(outputs),
    }


def _sources(outputs: Outputs) -> list[dict[str, Any]]:
    """One line a source: what was read, and how its training rows are seen in an epoch."""
    read = {str(source.get("name") or source.get("uri")): source for source in outputs.sources()}
    seen = mapping(outputs.metric("tokenize", "perSource"))
    lines = []
    for name, source in zip(source_names(outputs.config.spec), outputs.config.spec.data.sources, strict=True):
        facts, share = read.get(name) or {}, mapping(seen.get(name))
        taken, found = facts.get("exchanges"), facts.get("exchangesFound")
        more = wording.is_number(found) and wording.is_number(taken) and found > taken
        lines.append(
            {
                "name": wording.short_source(name),
                "uri": name,
                "license": source.license or facts.get("license") or "not stated",
                "use": source.use or "split",
                "exchanges": wording.count(taken) + (f" of {wording.count(found)}" if more else ""),
                "rows": wording.count(share.get("rows")),
                "weight": wording.factor(source.weight),
                "repeats": wording.count(share.get("repeats")),
                "never": wording.count(share.get("neverSeen")),
                "sequences": wording.count(share.get("sequences")),
            }
        )
    return lines


def _steps(outputs: Outputs) -> list[dict[str, Any]]:
    """The way from all exchanges to the kept ones, a line a step, as a waterfall."""
    steps = outputs.steps()
    largest = max([number(step.get("in")) or 0 for step in steps], default=0) or 1
    lines = []
    for step in steps:
        before, after = number(step.get("in")) or 0, number(step.get("out")) or 0
        reasons = sorted(numbers(step.get("reasons")).items(), key=lambda item: (-item[1], item[0]))
        changes = [*reasons, *numbers(step.get("changed")).items()]
        spared = [(f"{name} in evaluation rows, kept", n) for name, n in numbers(step.get("spared")).items()]
        lines.append(
            {
                "name": wording.title_of(str(step.get("step"))),
                "in": wording.count(before),
                "out": wording.count(after),
                "dropped": before > after,
                "dropped_text": f"−{wording.count(before - after)}" if before > after else "0",
                "changes": [f"{wording.words_of(name)} {wording.count(n)}" for name, n in changes + spared if n],
                "bar": charts.bar(
                    [("kept", 0, after / largest), ("dropped", after / largest, (before - after) / largest)]
                ),
            }
        )
    return lines


def _reasons(outputs: Outputs) -> list[dict[str, Any]]:
    """Every named reason why an exchange was dropped by prepare or tokenize, most frequent first."""
    steps = [(str(step.get("step")), numbers(step.get("reasons"))) for step in outputs.steps()]
    found = [(name, n, step) for step, reasons in steps for name, n in reasons.items()]
    for name, n in outputs.counts("tokenize").items():
        if name.startswith("dropped."):
            found.append((name.removeprefix("dropped."), n, "tokenize"))
    return _as_bars(found)


def _unread(outputs: Outputs) -> list[dict[str, Any]]:
    """Every named reason why ingest could not read a row or left a record out, over all sources."""
    found = [
        (name, n, how)
        for source in outputs.sources()
        for key, how in (("bad", "could not be read"), ("dropped", "left out"))
        for name, n in numbers(source.get(key)).items()
    ]
    return _as_bars(found)


def _as_bars(found: list[tuple[str, float, str]]) -> list[dict[str, Any]]:
    """(reason, count, step) with bars beside the largest; equal reasons of a step are added up."""
    sums: dict[tuple[str, str], float] = {}
    for name, n, step in found:
        sums[name, step] = sums.get((name, step), 0) + n
    largest = max(sums.values(), default=0) or 1
    return [
        {
            "name": wording.title_of(name),
            "step": wording.words_of(step),
            "count": wording.count(n),
            "bar": charts.bar([("dropped", 0, n / largest)]),
        }
        for (name, step), n in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        if n
    ]


def _named(languages: Any) -> dict[str, float]:
    """The languages by code, with ISO's code for an undetermined one as a word."""
    return {"unknown" if code == "und" else code: n for code, n in numbers(languages).items()}


def _shares(values: Any, *, by_size: bool = True) -> list[dict[str, Any]]:
    """Names with counts as bars of their share, largest first unless in a given order; a long tail becomes one line."""
    ordered = list(numbers(values).items())
    if by_size:
        ordered.sort(key=lambda item: (-item[1], item[0]))
    total = sum(n for _, n in ordered)
    if total <= 0:
        return []
    largest = max(n for _, n in ordered)
    if len(ordered) > LONGEST_LIST:
        tail = ordered[LONGEST_LIST - 1 :]
        ordered = [*ordered[: LONGEST_LIST - 1], (f"{len(tail)} others", sum(n for _, n in tail))]
    return [
        {"name": name, "count": wording.count(n), "share": wording.share(n / total),
         "bar": charts.bar([("kept", 0, min(1.0, n / largest))])}
        for name, n in ordered
    ]  # fmt: skip


def _histogram(value: Any, name: str) -> Markup:
    edges, counts = mapping(value).get("edges"), mapping(value).get("counts")
    if not isinstance(edges, list) or not isinstance(counts, list):
        return Markup("")
    return charts.histogram(edges, counts, title=f"Length of the {name}", unit="characters")


def _tokens(outputs: Outputs) -> list[tuple[str, str]]:
    """What tokenize made of the training rows."""
    counts, waste = outputs.counts("tokenize"), outputs.metric("tokenize", "packingWaste")
    if not counts:
        return []
    found = [
        ("Tokens", wording.count(counts.get("tokens"))),
        ("Targets", wording.count(counts.get("targets"))),
        ("Sequences", wording.count(counts.get("sequences"))),
        ("Packs", wording.count(counts.get("packs"))),
        ("Sequence length", wording.count(outputs.metric("tokenize", "sequenceLength"))),
        ("Padding", wording.share(waste)),
        ("Vocabulary", wording.count(outputs.metric("tokenize", "vocabularySize"))),
        ("Truncated", wording.count(counts.get("truncated"))),
    ]
    return [(name, value) for name, value in found if value != wording.NOTHING]
