"""The stage: map → sign → pair → verify → split → finish → check over the partitions of ingest, in worker processes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import polars as pl

from trainwright import storage
from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig, source_names
from trainwright.errors import BadInput
from trainwright.prepare.duplicates.finding import find_boilerplate, find_duplicates
from trainwright.prepare.duplicates.signing import sign_slice
from trainwright.prepare.finishing import FinishTask, GatherTask, finish_slice, gather_partition
from trainwright.prepare.mapping import map_slice
from trainwright.prepare.reporting import report_of
from trainwright.prepare.slices import Slice, slices_of
from trainwright.prepare.splitting.checking import leaks_of
from trainwright.prepare.splitting.linking import Assignment, assign
from trainwright.prepare.steps.offensive import words_of
from trainwright.prepare.summary import Summary
from trainwright.prepare.tally import Tally, merge
from trainwright.prepare.work import SliceTask, Work, plain
from trainwright.progress import Progress
from trainwright.workers import Workers

PHASES = 3
"""Phases over all slices that progress counts: map, sign, finish."""
MOST_CHECKS = 3
SLICES_PER_WORKER = 2
"""A further process takes 0.8 s of CPU to start, a slice 2 to 3 s of work."""
Item = TypeVar("Item")


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Prepare the rows of ingest into `output`.

    Raises:
        BadInput: nothing is left to train on, or a list of words cannot be read.
        DataAudit: near duplicates ate most of a source, and audit.onViolation is Fail.
    """
    rows = inputs["ingest"].folder / "rows"
    slices = slices_of(rows)
    if not slices:
        raise BadInput(f"{rows} holds no rows", hint="see bad.jsonl of ingest for why rows were refused")
    work = _work_of(config, output)
    with Workers(min(config.workers, max(1, len(slices) // SLICES_PER_WORKER))) as workers:
        counter = _Counter(len(slices))
        mapped = list(counter.over(workers.map(map_slice, [SliceTask(work=work, slice=piece) for piece in slices])))
        find_boilerplate(work, slices, workers, sum((of_slice for _, of_slice in mapped), Counter()))
        for _ in counter.over(workers.map(sign_slice, [SliceTask(work=work, slice=piece) for piece in slices])):
            pass
        find_duplicates(work, slices, workers)
        split = config.spec.data.split
        assignment = assign(work, slices, workers, split.validation, split.test)
        finished, late = _finish(work, slices, workers, assignment, counter)
    shutil.rmtree(work.folder)
    tallies = merge(tally for tallies, _ in [*mapped, *finished] for tally in tallies)
    summary = Summary()
    for _, of_slice in finished:
        summary.add(of_slice)
    return report_of(config, output, tallies, summary, late)


def _work_of(config: RunConfig, output: Path) -> Work:
    spec = config.spec
    sources = dict(zip(source_names(spec), spec.data.sources, strict=True))
    columns = [column for source in spec.data.sources if source.columns for column in source.columns.keep]
    work = Work(
        prepare=plain(spec.data.prepare),
        seed=spec.training.seed,
        uses={name: source.use for name, source in sources.items()},
        lexicon=_lexicon(config, output / "work"),
        kept_columns=tuple(dict.fromkeys(columns)),
        folder=output / "work",
        output=output,
    )
    work.folder.mkdir(parents=True)
    return work


def _lexicon(config: RunConfig, folder: Path) -> tuple[str, ...] | None:
    uri = config.spec.data.prepare.offensive.lexicon
    if uri is None:
        return None
    try:
        words = words_of(storage.local_folder(uri, config, folder / "lexicon").read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"data.prepare.offensive.lexicon: {uri} cannot be read: {error}", hint="give a text file in UTF-8"
        ) from error
    if not words:
        raise BadInput(f"data.prepare.offensive.lexicon: {uri} holds no word", hint="write one word or phrase a line")
    return words


def _finish(
    work: Work, slices: list[Slice], workers: Workers, assignment: Assignment, counter: _Counter
) -> tuple[list[tuple[list[Tally], Summary]], int]:
    """Write the rows, and again if the check finds a link that was missed; how many it found."""
    late = 0
    for _ in range(MOST_CHECKS):
        tasks = [FinishTask(work=work, slice=piece, assignment=assignment) for piece in slices]
        finished = list(counter.over(workers.map(finish_slice, tasks)))
        partitions = [list(pieces) for _, pieces in groupby(slices, key=lambda piece: piece.partition)]
        for _ in workers.map(gather_partition, [GatherTask(work=work, slices=pieces) for pieces in partitions]):
            pass
        cuts, unscored = leaks_of(work, workers, assignment.phrases)
        if not cuts.height + unscored.height:
            return finished, late
        late += cuts.height + unscored.height
        assignment = replace(
            assignment,
            cuts=pl.concat([assignment.cuts, cuts]),
            unscored=pl.concat([assignment.unscored, unscored]),
        )
    raise BadInput("links between training and evaluation rows remain after three checks", hint="please report this")


class _Counter:
    """Progress over the slices of all phases."""

    def __init__(self, slices: int) -> None:
        self._done = 0
        self._progress = Progress("prepare", PHASES * slices, "slices")

    def over(self, results: Iterable[Item]) -> Iterator[Item]:
        for result in results:
            self._done += 1
            self._progress.update(min(self._done, self._progress.total))
            yield result
