"""The stage `ingest`: sources in, canonical rows in partitions out.

In: `spec.data.sources`. Out: rows/part-NNNNN.parquet, bad.jsonl (file, line, reason; never the text of a row) and
sources.json. Files are read in worker processes into spill files, which are then cut into partitions; nothing depends
on how many processes there are. Run alone: `python -m trainwright ingest --config run.json`.
"""

from __future__ import annotations

import shutil
from collections import Counter
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
    shutil.rmtree(spills, ignore_errors=True)
    spills.mkdir()
    tasks = [
        list(_tasks(name, source, files, limits, spills / f"{n:02d}", config.workers))
        for n, (name, source, files) in enumerate(zip(names, sources, listed, strict=True))
    ]
    summaries = _read_all(tasks, config)
    paths = [[task.spill for task in source if task.spill.exists()] for source in tasks]
    for n, source in enumerate(sources):
        if source.columns is not None and source.columns.conversation is not None:
            paths[n] = join(tasks[n], source.columns, summaries[n], limits, config.workers)
        check_source(source, summaries[n], config.spec.data, limits)
    wanted = [
        _spills(name, of_source, _limit(source.max_rows, config.sample), config.spec.training.seed)
        for source, name, of_source in zip(sources, names, paths, strict=True)
    ]
    taken = _write(wanted, config, limits, output)
    write_bad(output / "bad.jsonl", summaries)
    shutil.rmtree(spills)
    facts = [facts_of(names[n], source, listed[n], summaries[n], taken[names[n]]) for n, source in enumerate(sources)]
    write_json(output / "sources.json", facts)
    return report_of(facts, len(part_files(output / "rows")))


def _tasks(name: str, source: Source, listed: Listed, limits: Limits, spill: Path, workers: int) -> Iterator[FileTask]:
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


def _read_all(tasks: list[list[FileTask]], config: RunConfig) -> list[list[FileSummary]]:
    flat = [task for source in tasks for task in source]
    progress = Progress("ingest", sum(task.size_bytes for task in flat), "bytes")
    done = rows = 0
    summaries = []
    for task, summary in zip(flat, run_all(read_file, flat, config.workers), strict=True):
        done, rows = done + task.size_bytes, rows + summary.rows
        progress.update(done, rows=rows)
        summaries.append(summary)
    rest = iter(summaries)
    return [[next(rest) for _ in source] for source in tasks]


def _limit(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _spills(source: str, paths: list[Path], limit: int | None, seed: int) -> list[Spill]:
    sample = sample_of(paths, limit, seed) if limit is not None and paths else None
    return [Spill(path=path, source=source, sample=sample) for path in paths]


def _write(spills: list[list[Spill]], config: RunConfig, limits: Limits, output: Path) -> dict[str, Counter[str]]:
    """Write the partitions; returns rows and exchanges by source."""
    taken: dict[str, Counter[str]] = {}
    plan = list(partitions([spill for source in spills for spill in source], limits, output / "rows"))
    for counts in run_all(write_partition, plan, config.workers):
        for source, rows, exchanges in counts:
            taken.setdefault(source, Counter()).update(rows=rows, exchanges=exchanges)
    return taken
