"""The stage `ingest`: sources in, canonical rows in partitions out.

In: `spec.data.sources`. Out: rows/part-NNNNN.parquet, bad.jsonl (file, line, reason; never the text of a row) and
sources.json. Files are read in worker processes into spill files, which are then cut into partitions; nothing depends
on how many processes there are. Run alone: `python -m trainwright ingest --config run.json`.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from trainwright.api.data import Source
from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig, source_names
from trainwright.formats.rows import part_files
from trainwright.ingest.accounts import facts_of, report_of, write_bad
from trainwright.ingest.checks import check_source
from trainwright.ingest.joining import join
from trainwright.ingest.limits import LIMITS, Limits
from trainwright.ingest.partitions import Spill, partitions, write_partition
from trainwright.ingest.pieces import pieces_of
from trainwright.ingest.reading import FileSummary, FileTask, read_file
from trainwright.ingest.sampling import sample_of
from trainwright.ingest.sources import Listed, list_source
from trainwright.progress import Progress
from trainwright.workers import Workers

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
    shutil.rmtree(spills, ignore_errors=True)
    spills.mkdir()
    is_small = sum(files.size_bytes for files in listed) <= limits.alone_bytes
    with Workers(1 if is_small else config.workers) as workers:
        tasks = [
            list(_tasks(names[n], sources[n], listed[n], limits, spills / f"{n:02d}", workers))
            for n in range(len(sources))
        ]
        summaries = _read_all(tasks, workers)
        rows = [
            _spills(names[n], source, _rows_of(source, tasks[n], summaries[n], config, limits, workers), config)
            for n, source in enumerate(sources)
        ]
        taken = _write([spill for of_source in rows for spill in of_source], limits, output / "rows", workers)
    write_bad(output / "bad.jsonl", summaries)
    shutil.rmtree(spills)
    facts = [facts_of(names[n], source, listed[n], summaries[n], taken[names[n]]) for n, source in enumerate(sources)]
    write_json(output / "sources.json", facts)
    return report_of(facts, len(part_files(output / "rows")))


def _tasks(
    name: str, source: Source, listed: Listed, limits: Limits, spill: Path, workers: Workers
) -> Iterator[FileTask]:
    """What there is to read of a source: its files, large ones in pieces."""
    pieces = pieces_of(list(listed.files), limits, workers)
    for f, ((file, format_name), of_file) in enumerate(zip(listed.files, pieces, strict=True)):
        for p, piece in enumerate(of_file):
            yield FileTask(
                source=name,
                file=file,
                format=format_name,
                columns=source.columns,
                limits=limits,
                piece=piece,
                spill=spill.with_name(f"{spill.name}-{f:06d}-{p:06d}.arrow"),
            )


def _read_all(tasks: list[list[FileTask]], workers: Workers) -> list[list[FileSummary]]:
    flat = [task for of_source in tasks for task in of_source]
    progress = Progress("ingest", sum(task.size_bytes for task in flat), "bytes")
    done = rows = 0
    summaries = []
    for task, summary in zip(flat, workers.map(read_file, flat), strict=True):
        done, rows = done + task.size_bytes, rows + summary.rows
        progress.update(done, rows=rows)
        summaries.append(summary)
    rest = iter(summaries)
    return [[next(rest) for _ in of_source] for of_source in tasks]


def _rows_of(
    source: Source,
    tasks: list[FileTask],
    summaries: list[FileSummary],
    config: RunConfig,
    limits: Limits,
    workers: Workers,
) -> list[Path]:
    """The spill files that hold the rows of a source, once it has passed the checks."""
    paths = [task.spill for task in tasks if task.spill.exists()]
    if source.columns is not None and source.columns.conversation is not None:
        paths = join(tasks, source.columns, summaries, limits, workers)
    check_source(source, summaries, config.spec.data)
    return paths


def _spills(name: str, source: Source, paths: list[Path], config: RunConfig) -> list[Spill]:
    """The rows that are wanted: all, or a sample."""
    limit = min((limit for limit in (source.max_rows, config.sample) if limit is not None), default=None)
    sample = sample_of(paths, limit, config.spec.training.seed) if limit is not None else None
    return [Spill(path=path, source=name, sample=sample) for path in paths]


def _write(spills: list[Spill], limits: Limits, folder: Path, workers: Workers) -> dict[str, Counter[str]]:
    """Write the partitions; returns rows and exchanges by source."""
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    plan = list(partitions(spills, limits, folder))
    for counts in workers.map(write_partition, plan):
        for source, rows, exchanges in counts:
            taken[source].update(rows=rows, exchanges=exchanges)
    return taken
