"""DATA.md: where the rows come from, what each step did to them, what is left. Counts only, never a row's text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainwright.artifacts import Inputs
from trainwright.contract import RunConfig, source_names


def data_card(config: RunConfig, inputs: Inputs) -> str:
    """The text of DATA.md."""
    ingest, prepare = inputs["ingest"], inputs["prepare"]
    sections = [
        f"# Data of {config.name}",
        f"Fingerprint of the prepared rows: `{prepare.metrics.get('fingerprint', '')}`.",
        "Numbers are exchanges (a response with the turn before it) unless they say conversations.",
        "## Sources",
        table(
            ("source", "licence", "use", "weight", "files", "rows", "exchanges", "bad rows", "SHA-256 of the files"),
            _sources(config, inputs),
        ),
        f"Rows that cannot be read are listed with file and line; {ingest.counts.get('bad', 0):,} were.",
        "## What preparation did",
        table(("step", "in", "out", "dropped, by reason", "changed"), _steps(prepare.metrics.get("steps") or [])),
        "## What is left",
        table(
            ("split", "exchanges"), [(split, prepare.counts.get(split, 0)) for split in ("train", "validation", "test")]
        ),
    ]
    if languages := prepare.metrics.get("languages"):
        sections += [
            "## Languages",
            table(("language", "share or count"), sorted(languages.items(), key=lambda item: -_number(item[1]))),
        ]
    sections += [
        "## Settings",
        "```json",
        settings(config.spec.data.model_dump(mode="json", by_alias=True, exclude={"sources"})),
        "```",
    ]
    return "\n\n".join(sections).replace("```json\n\n", "```json\n").replace("\n\n```\n", "\n```\n").rstrip() + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; what could break it is escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def settings(values: Any) -> str:
    """Settings as JSON without the absent ones."""
    return json.dumps(_present(values), indent=1, ensure_ascii=False)


def licences(config: RunConfig) -> list[str]:
    """The licences of the sources as the spec names them, each once."""
    return sorted({source.license for source in config.spec.data.sources if source.license})


def _sources(config: RunConfig, inputs: Inputs) -> Iterable[Sequence[Any]]:
    path = inputs["ingest"].folder / "sources.json"
    found: list[Mapping[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    for n, (source, name) in enumerate(zip(config.spec.data.sources, source_names(config.spec), strict=True)):
        facts = found[n] if n < len(found) else {}
        bad = facts.get("bad") or 0
        yield (
            name,
            source.license or "not stated",
            source.use or "split",
            source.weight,
            _count(facts.get("files")),
            facts.get("rows", ""),
            facts.get("exchanges", ""),
            sum(bad.values()) if isinstance(bad, Mapping) else bad,
            facts.get("digest", ""),
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


def _count(value: Any) -> Any:
    return len(value) if isinstance(value, list | Mapping) else value if value is not None else ""


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
