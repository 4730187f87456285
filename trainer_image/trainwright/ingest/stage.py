"""The stage `ingest`: sources in, canonical rows in partitions out.

In: `spec.data.sources`. Out: rows/part-NNNNN.parquet, bad.jsonl (file, line, reason; never the text of a row) and
sources.json. Files are read in worker processes into spill files, which are then cut into partitions; nothing depends on
how many processes there are. Run alone: `python -m trainwright ingest --config run.json`.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig, source_names
from trainwright.ingest import partitions
from trainwright.ingest.checks import check_source
from trainwright.ingest.limits import LIMITS, Limits
from trainwright.ingest.partitions import Spill
from trainwright.ingest.reading import FileSummary, FileTask, read_file
from trainwright.ingest.sampling import sample_of
from trainwright.ingest.sources import Listed, list_source
from trainwright.ingest.workers import run_all
from trainwright.progress import Progress

SPILLS = "spills"


def run(config: RunConfig, inputs: Inputs, output: Path, *, limits: Limits = LIMITS) -> Report:
    """Read all sources into canonical rows.

    Raises:
        BadInput: a source is missing, empty, unreadable or truncated, has no such column, or too many bad rows.
    """
    sources = config.spec.data.sources
    names = source_names(config.spec)
    listed = [list_source(source, config) for source in sources]
    spills = output / SPILLS
    spills.mkdir()
    tasks = [
        [
            FileTask(
                source=name,
                file=file,
                format=format_name,
                columns=source.columns,
                limits=limits,
                spill=spills / f"{s:02d}-{f:06d}.arrow",
            )
            for f, (file, format_name) in enumerate(files.files)
        ]
        for s, (source, name, files) in enumerate(zip(sources, names, listed, strict=True))
    ]
    summaries = _read_all(tasks, config)
    for source, files in zip(sources, summaries, strict=True):
        check_source(source, files, config.spec.data, limits)
    wanted = [
        _spills(source_tasks, _limit(source.max_rows, config.sample), config.spec.training.seed)
        for source, source_tasks in zip(sources, tasks, strict=True)
    ]
    taken = _write(wanted, config, limits, output)
    shutil.rmtree(spills)
    _write_bad(output / "bad.jsonl", names, summaries)
    facts = [
        _facts(source.uri, source.license, listed[n], summaries[n], taken[names[n]]) for n, source in enumerate(sources)
    ]
    write_json(output / "sources.json", facts)
    return _report(facts, len(list((output / "rows").glob("part-*.parquet"))))


def _read_all(tasks: list[list[FileTask]], config: RunConfig) -> list[list[FileSummary]]:
    flat = [task for source in tasks for task in source]
    progress = Progress("ingest", sum(task.file.size_bytes for task in flat), "bytes")
    done = rows = 0
    summaries = []
    for task, summary in zip(flat, run_all(read_file, flat, config.workers), strict=True):
        done, rows = done + task.file.size_bytes, rows + summary.rows
        progress.update(done, rows=rows)
        summaries.append(summary)
    rest = iter(summaries)
    return [[next(rest) for _ in source] for source in tasks]


def _limit(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _spills(tasks: list[FileTask], limit: int | None, seed: int) -> list[Spill]:
    paths = [task.spill for task in tasks if task.spill.exists()]
    sample = sample_of(paths, limit, seed) if limit is not None else None
    return [Spill(path=task.spill, source=task.source, sample=sample) for task in tasks if task.spill.exists()]


def _write(spills: list[list[Spill]], config: RunConfig, limits: Limits, output: Path) -> dict[str, Counter[str]]:
    """Write the partitions; returns rows and exchanges by source."""
    taken: dict[str, Counter[str]] = {}
    plan = list(partitions.partitions([spill for source in spills for spill in source], limits, output / "rows"))
    for counts in run_all(partitions.write_partition, plan, config.workers):
        for source, rows, exchanges in counts:
            taken.setdefault(source, Counter()).update(rows=rows, exchanges=exchanges)
    return taken


def _write_bad(path: Path, names: tuple[str, ...], summaries: list[list[FileSummary]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for source, files in zip(names, summaries, strict=True):
            for summary in files:
                for bad in summary.bad:
                    line = {"source": source, **summary.place(bad.number), "code": bad.code, "reason": bad.reason}
                    file.write(json.dumps(line) + "\n")


def _facts(
    uri: str, licence: str | None, listed: Listed, files: list[FileSummary], taken: Counter[str]
) -> dict[str, Any]:
    """What sources.json says of a source."""
    mappings: Counter[str] = sum((file.mappings for file in files), Counter())
    columns: dict[str, str] = {}
    for file in files:
        for name, number in file.columns.items():
            columns.setdefault(name, " ".join(f"{key} {value}" for key, value in file.place(number).items()))
    return {
        "uri": uri,
        "license": licence,
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


def _report(facts: list[dict[str, Any]], parts: int) -> Report:
    counts = {name: sum(fact[name] for fact in facts) for name in ("rows", "exchanges", "lines", "blank", "records")}
    counts |= {name: sum(sum(fact[name].values()) for fact in facts) for name in ("bad", "dropped")}
    counts |= {"files": sum(len(fact["files"]) for fact in facts), "partitions": parts}
    message = f"{counts['exchanges']:,} exchanges in {counts['rows']:,} rows from {len(facts)} sources"
    if counts["bad"]:
        message += f"; {counts['bad']:,} bad rows are named in bad.jsonl"
    per_source = {fact["uri"]: {name: fact[name] for name in ("rows", "exchanges", "bad", "dropped")} for fact in facts}
    return Report(message=message, counts=counts, metrics={"perSource": per_source})
