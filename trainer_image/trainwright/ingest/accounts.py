"""The accounts of ingest: sources.json, bad.jsonl and the stage's report.

For every file: lines (or records) checked = records + unreadable rows + blank ones, and every record became rows, was
dropped as empty, or is a bad row. Nothing in them is text of a row.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainwright.api.data import Source
from trainwright.contract import Report
from trainwright.ingest.reading import FileSummary
from trainwright.ingest.sources import Listed


def write_bad(path: Path, summaries: list[list[FileSummary]]) -> None:
    """Join the bad rows of all files, in order: JSON Lines of source, file, line or record, code and reason."""
    with path.open("wb") as file:
        for summary in (summary for files in summaries for summary in files):
            if summary.bad_rows.exists():
                with summary.bad_rows.open("rb") as rows:
                    shutil.copyfileobj(rows, file)


def facts_of(
    name: str, source: Source, listed: Listed, files: list[FileSummary], taken: Counter[str]
) -> dict[str, Any]:
    """What sources.json says of a source; `taken` are its rows and exchanges after sampling."""
    mappings = total(file.mappings for file in files)
    columns: dict[str, str] = {}
    for file in files:
        for column, number in file.columns.items():
            columns.setdefault(column, file.where(number))
    return {
        "name": name,
        "uri": source.uri,
        "license": source.license,
        "files": [{"name": f.name, "bytes": f.size_bytes, "digest": f.digest, "format": n} for f, n in listed.files],
        "digest": _digest(listed),
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
        "bad": dict(total(file.bad for file in files)),
        "dropped": dict(total(file.dropped for file in files)),
    }


def total(counters: Iterable[Counter[str]]) -> Counter[str]:
    """The sum of some counters."""
    return sum(counters, Counter())


def _digest(listed: Listed) -> str:
    """One digest for the names and contents of all files."""
    lines = "".join(f"{file.digest} {file.name}\n" for file, _ in listed.files)
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def report_of(facts: list[dict[str, Any]], parts: int) -> Report:
    """The stage's report."""
    counts = {name: sum(fact[name] for fact in facts) for name in ("rows", "exchanges", "lines", "blank", "records")}
    counts |= {name: sum(sum(fact[name].values()) for fact in facts) for name in ("bad", "dropped")}
    counts |= {"files": sum(len(fact["files"]) for fact in facts), "partitions": parts}
    message = f"{counts['exchanges']:,} exchanges in {counts['rows']:,} rows from {len(facts)} sources"
    if counts["bad"]:
        message += f"; {counts['bad']:,} bad rows are named in bad.jsonl"
    shown = ("rows", "exchanges", "bad", "dropped")
    per_source = {fact["name"]: {name: fact[name] for name in shown} for fact in facts}
    return Report(message=message, counts=counts, metrics={"perSource": per_source})
