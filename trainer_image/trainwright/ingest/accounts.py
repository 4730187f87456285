"""The accounts of ingest: sources.json, bad.jsonl and the stage's report.

For every file: lines (or records) checked = records + unreadable rows + blank ones, and every record became rows, was
dropped as empty, or is a bad row. Nothing in them is text of a row.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from trainwright.api.data import Source
from trainwright.contract import Report
from trainwright.ingest.reading import FileSummary
from trainwright.ingest.sources import Listed


def write_bad(path: Path, names: tuple[str, ...], summaries: list[list[FileSummary]]) -> None:
    """Write one line of JSON for each bad row: source, file, line or record, code and reason."""
    with path.open("w", encoding="utf-8") as file:
        for source, files in zip(names, summaries, strict=True):
            for summary in files:
                for bad in summary.bad:
                    line = {"source": source, **summary.place(bad.number), "code": bad.code, "reason": bad.reason}
                    file.write(json.dumps(line) + "\n")


def facts_of(source: Source, listed: Listed, files: list[FileSummary], taken: Counter[str]) -> dict[str, Any]:
    """What sources.json says of a source; `taken` are its rows and exchanges after sampling."""
    mappings: Counter[str] = sum((file.mappings for file in files), Counter())
    columns: dict[str, str] = {}
    for file in files:
        for name, number in file.columns.items():
            columns.setdefault(name, " ".join(f"{key} {value}" for key, value in file.place(number).items()))
    return {
        "uri": source.uri,
        "license": source.license,
        "files": [{"name": f.name, "bytes": f.size_bytes, "digest": f.digest, "format": n} for f, n in listed.files],
        "passedOver": listed.passed_over,
        "bytes": listed.size_bytes,
        "mappings": [{"columns": json.loads(text), "records": n} for text, n in mappings.most_common()],
        "columnsSeen": columns,
        "lines": sum(file.checked for file in files),
        "blank": sum(file.blank for file in files),
        "records": sum(file.records for file in files),
        "rowsFound": sum(file.rows for file in files),
        "exchangesFound": sum(file.exchanges for file in files),
        "rows": taken["rows"],
        "exchanges": taken["exchanges"],
        "bad": dict(Counter(bad.code for file in files for bad in file.bad)),
        "dropped": dict(sum((file.dropped for file in files), Counter())),
    }


def report_of(facts: list[dict[str, Any]], parts: int) -> Report:
    """The stage's report."""
    counts = {name: sum(fact[name] for fact in facts) for name in ("rows", "exchanges", "lines", "blank", "records")}
    counts |= {name: sum(sum(fact[name].values()) for fact in facts) for name in ("bad", "dropped")}
    counts |= {"files": sum(len(fact["files"]) for fact in facts), "partitions": parts}
    message = f"{counts['exchanges']:,} exchanges in {counts['rows']:,} rows from {len(facts)} sources"
    if counts["bad"]:
        message += f"; {counts['bad']:,} bad rows are named in bad.jsonl"
    per_source = {fact["uri"]: {name: fact[name] for name in ("rows", "exchanges", "bad", "dropped")} for fact in facts}
    return Report(message=message, counts=counts, metrics={"perSource": per_source})
