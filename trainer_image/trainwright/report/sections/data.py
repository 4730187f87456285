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
        "unread": _unread(outputs),
        "splits": _shares(
            {split: counts[split] for split in ("train", "validation", "test") if counts.get(split)}, by_size=False
        ),
        "languages": _shares(_named(outputs.metric("prepare", "languages"))),
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
    """One line a source: what was read, and how its training rows are seen in an epoch."""
    read = {str(source.get("name") or source.get("uri")): source for source in _read(outputs)}
    seen = outputs.metric("tokenize", "perSource") or {}
    lines = []
    for name, source in zip(source_names(outputs.config.spec), outputs.config.spec.data.sources, strict=True):
        facts, share = read.get(name) or {}, seen.get(name) or {}
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


def _read(outputs: Outputs) -> list[Mapping[str, Any]]:
    """What ingest says of each source."""
    sources = outputs.file("ingest", "sources.json")
    return [source for source in sources if isinstance(source, Mapping)] if isinstance(sources, list) else []


def _steps(outputs: Outputs) -> list[dict[str, Any]]:
    """The way from all exchanges to the kept ones, a line a step, as a waterfall."""
    steps = [step for step in outputs.file("prepare", "steps.json") or outputs.metric("prepare", "steps") or [] if step]
    largest = max((step.get("in") or 0 for step in steps), default=0) or 1
    lines = []
    for step in steps:
        before, after = step.get("in") or 0, step.get("out") or 0
        reasons = sorted((step.get("reasons") or {}).items(), key=lambda item: (-item[1], item[0]))
        changed = [(name, n) for name, n in (step.get("changed") or {}).items() if n]
        changed += [(f"{name} in evaluation rows, kept", n) for name, n in (step.get("spared") or {}).items() if n]
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
    """Every named reason why an exchange was dropped by prepare or tokenize, most frequent first."""
    steps = outputs.file("prepare", "steps.json") or outputs.metric("prepare", "steps") or []
    found = [(name, n, str(step.get("step"))) for step in steps for name, n in (step.get("reasons") or {}).items()]
    for name, n in outputs.counts("tokenize").items():
        if name.startswith("dropped."):
            found.append((name.removeprefix("dropped."), n, "tokenize"))
    return _as_bars(found)


def _unread(outputs: Outputs) -> list[dict[str, Any]]:
    """Every named reason why ingest could not read a row or left a record out, over all sources."""
    found = [
        (str(name), n, how)
        for source in _read(outputs)
        for key, how in (("bad", "could not be read"), ("dropped", "left out"))
        if isinstance(source.get(key), Mapping)
        for name, n in source[key].items()
    ]
    return _as_bars(found)


def _as_bars(found: list[tuple[str, int, str]]) -> list[dict[str, Any]]:
    """(reason, count, step) with bars beside the largest; equal reasons of a step are added up."""
    sums: dict[tuple[str, str], int] = {}
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


def _named(languages: Any) -> Any:
    """The languages by code, with ISO's code for an undetermined one as a word."""
    if not isinstance(languages, Mapping):
        return languages
    return {"unknown" if code == "und" else code: n for code, n in languages.items()}


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
    return [(name, value) for name, value in found if value != wording.NOTHING]
