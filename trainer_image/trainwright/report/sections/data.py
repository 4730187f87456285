"""Data: where the exchanges are from, what every step dropped and why, and what the kept ones are like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright.contract import source_names
from trainwright.report import charts, wording
from trainwright.report.outputs import Outputs

LONGEST_LIST = 12


def data(outputs: Outputs) -> dict[str, Any] | None:
    """Tables and charts of ingest, prepare and tokenize; None if no rows were read."""
    if "ingest" not in outputs.stages and "prepare" not in outputs.stages:
        return None
    counts = outputs.counts("prepare")
    lengths = outputs.metric("prepare", "lengths") or {}
    return {
        "sources": _sources(outputs),
        "steps": _steps(outputs),
        "reasons": _reasons(outputs),
        "bad": [(wording.words_of(reason), wording.count(n)) for reason, n in _bad(outputs).items()],
        "splits": _shares(
            {split: counts[split] for split in ("train", "validation", "test") if counts.get(split)}, by_size=False
        ),
        "languages": _shares(outputs.metric("prepare", "languages")),
        "kept": [
            (wording.title_of(name), _shares(values))
            for name, values in (outputs.metric("prepare", "kept") or {}).items()
        ],
        "lengths": [
            (
                f"{name.capitalize()} length",
                charts.histogram(h["edges"], h["counts"], title=f"Length of the {name}", unit="characters"),
            )
            for name, h in lengths.items()
            if isinstance(h, Mapping) and h.get("edges") and h.get("counts")
        ],
        "tokens": _tokens(outputs),
    }


def _sources(outputs: Outputs) -> list[dict[str, Any]]:
    """One line a source: rows read, rows in training, repeats, rows never seen."""
    read = {str(source.get("uri")): source for source in outputs.file("ingest", "sources.json") or []}
    seen = outputs.metric("tokenize", "perSource") or {}
    lines = []
    for name, source in zip(source_names(outputs.config.spec), outputs.config.spec.data.sources, strict=True):
        facts, share = read.get(name) or read.get(source.uri) or {}, seen.get(name) or {}
        lines.append(
            {
                "name": wording.short_source(name),
                "uri": name,
                "license": source.license or facts.get("license") or "not stated",
                "use": source.use or "split",
                "exchanges": wording.count(facts.get("exchanges")),
                "rows": wording.count(share.get("rows")),
                "weight": wording.factor(source.weight),
                "repeats": f"× {wording.factor(share.get('repeats'))}" if share else wording.NOTHING,
                "never": wording.count(share.get("neverSeen")),
                "sequences": wording.count(share.get("sequences")),
            }
        )
    return lines


def _steps(outputs: Outputs) -> list[dict[str, Any]]:
    """The way from all exchanges to the kept ones, a line a step, as a waterfall."""
    steps = [step for step in outputs.file("prepare", "steps.json") or outputs.metric("prepare", "steps") or [] if step]
    largest = max((step.get("in") or 0 for step in steps), default=0) or 1
    lines = []
    for step in steps:
        before, after = step.get("in") or 0, step.get("out") or 0
        reasons = sorted((step.get("reasons") or {}).items(), key=lambda item: (-item[1], item[0]))
        changed = [(name, n) for name, n in (step.get("changed") or {}).items() if n]
        lines.append(
            {
                "name": wording.title_of(str(step.get("step"))),
                "in": wording.count(before),
                "out": wording.count(after),
                "dropped": before - after,
                "dropped_text": f"−{wording.count(before - after)}" if before > after else "0",
                "share": wording.share((before - after) / before) if before > after else "",
                "reasons": [f"{wording.words_of(name)} {wording.count(n)}" for name, n in reasons if n],
                "changed": [f"{wording.words_of(name)} {wording.count(n)}" for name, n in changed],
                "bar": charts.bar(
                    [("kept", 0, after / largest), ("dropped", after / largest, (before - after) / largest)]
                ),
            }
        )
    return lines


def _reasons(outputs: Outputs) -> list[dict[str, Any]]:
    """Every named reason of a drop, most frequent first."""
    steps = outputs.file("prepare", "steps.json") or outputs.metric("prepare", "steps") or []
    found = [(str(step.get("step")), name, n) for step in steps for name, n in (step.get("reasons") or {}).items() if n]
    largest = max((n for _, _, n in found), default=1)
    return [
        {
            "name": wording.title_of(name),
            "step": wording.words_of(step),
            "count": wording.count(n),
            "bar": charts.bar([("dropped", 0, n / largest)]),
        }
        for step, name, n in sorted(found, key=lambda item: -item[2])
    ]


def _bad(outputs: Outputs) -> dict[str, int]:
    """Rows that could not be read, by reason, over all sources."""
    bad: dict[str, int] = {}
    for source in outputs.file("ingest", "sources.json") or []:
        for reason, n in (source.get("bad") or {}).items() if isinstance(source.get("bad"), Mapping) else ():
            bad[reason] = bad.get(reason, 0) + n
    return bad


def _shares(values: Any, *, by_size: bool = True) -> list[dict[str, Any]]:
    """Names with counts as bars of their share, largest first unless in a given order; a long tail becomes one line."""
    if not isinstance(values, Mapping):
        return []
    ordered = [(str(name), n) for name, n in values.items() if wording.is_number(n)]
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
    dropped = [
        (f"Dropped: {wording.words_of(name[8:])}", wording.count(n))
        for name, n in counts.items()
        if name.startswith("dropped.") and n
    ]
    return [(name, value) for name, value in found + dropped if value != wording.NOTHING]
