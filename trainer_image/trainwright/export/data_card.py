"""DATA.md: where the rows come from, what each step did to them, what is left. Counts only, never a row's text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainwright.artifacts import Inputs
from trainwright.contract import RunConfig, source_names

SPLITS = ("train", "validation", "test")
FILES_SHOWN = 20
"""Files listed per source; a corpus may have thousands."""


def data_card(config: RunConfig, inputs: Inputs) -> str:
    """The text of DATA.md."""
    prepare = inputs["prepare"]
    facts = _source_facts(inputs)
    bad = inputs["ingest"].counts.get("bad", 0)
    sections = [
        "# Data",
        _sample(inputs),
        "Numbers are exchanges (a response with the turn before it) unless they say rows.",
        "## Sources",
        table(("source", "licence", "use", "weight", "rows", "exchanges", "bad rows"), _sources(config, facts)),
        f"{bad:,} rows could not be read; they were skipped, with file, line and reason on record." if bad else "",
        table(("source", "file", "bytes", "digest"), _files(facts)),
        "## What preparation did",
        table(("step", "in", "out", "dropped, by reason", "changed"), _steps(prepare.metrics.get("steps") or [])),
        "## What is left",
        table(("split", "exchanges"), [(split, prepare.counts.get(split, 0)) for split in SPLITS]),
        _languages(prepare.metrics.get("languages")),
        f"Fingerprint of the prepared rows: `{prepare.metrics['fingerprint']}`."
        if "fingerprint" in prepare.metrics
        else "",
        "## Settings",
        settings(config.spec.data.model_dump(mode="json", by_alias=True, exclude={"sources"})),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; what could break it is escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def settings(values: Any) -> str:
    """Settings as a block of JSON, without the absent ones."""
    return f"```json\n{json.dumps(_present(values), indent=1, ensure_ascii=False)}\n```"


def licences(config: RunConfig) -> list[str]:
    """The licences of the sources as the spec names them, each once."""
    return sorted({source.license for source in config.spec.data.sources if source.license})


def _sample(inputs: Inputs) -> str:
    """Says that only a sample of each source was taken, if so."""
    sample = (inputs["ingest"].done.get("ingredients") or {}).get("sample")
    return f"A trial on a sample: at most {sample:,} exchanges of each source." if sample else ""


def _source_facts(inputs: Inputs) -> list[Mapping[str, Any]]:
    """What ingest wrote of each source, in the order of the spec."""
    path = inputs["ingest"].folder / "sources.json"
    facts: list[Mapping[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return facts


def _sources(config: RunConfig, facts: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[Any]]:
    known = [*facts, *({} for _ in config.spec.data.sources[len(facts) :])]
    for source, name, fact in zip(config.spec.data.sources, source_names(config.spec), known, strict=True):
        licence, use = source.license or "not stated", source.use or "split"
        bad = sum((fact.get("bad") or {}).values())
        yield name, licence, use, source.weight, fact.get("rows"), fact.get("exchanges"), bad


def _files(facts: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[Any]]:
    for fact in facts:
        files = fact.get("files") or []
        for file in files[:FILES_SHOWN]:
            yield fact.get("uri", ""), file.get("name", ""), file.get("bytes"), file.get("digest", "")
        if len(files) > FILES_SHOWN:
            yield fact.get("uri", ""), f"and {len(files) - FILES_SHOWN:,} more", None, ""


def _languages(languages: Any) -> str:
    if not isinstance(languages, Mapping) or not languages:
        return ""
    return "## Languages\n\n" + table(
        ("language", "count"), sorted(languages.items(), key=lambda item: -_number(item[1]))
    )


def _steps(steps: Sequence[Mapping[str, Any]]) -> Iterable[Sequence[Any]]:
    for step in steps:
        yield (
            step.get("step", ""),
            step.get("in", ""),
            step.get("out", ""),
            _pairs(step.get("reasons")),
            _pairs(step.get("changed")),
        )


def _pairs(values: Any) -> str:
    return ", ".join(f"{name} {_cell(count)}" for name, count in values.items()) if isinstance(values, Mapping) else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )
    return text.replace("|", "\\|").replace("\n", " ")


def _present(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _present(item) for name, item in value.items() if item not in (None, [], {})}
    return [_present(item) for item in value] if isinstance(value, list) else value
