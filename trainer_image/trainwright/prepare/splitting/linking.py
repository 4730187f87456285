"""split over all slices: which groups evaluate, and which exchanges lose their loss or their score for a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from trainwright.prepare.duplicates.boilerplate import table_of
from trainwright.prepare.duplicates.signing import BYTES, NUMBERS, PAIR_BANDS, RESPONSE_BANDS
from trainwright.prepare.duplicates.verifying import TextTask, texts_of
from trainwright.prepare.slices import Slice
from trainwright.prepare.splitting.groups import Chosen, choose, sizes_of, splits_of
from trainwright.prepare.splitting.links import MATCHES, cuts_of, matches_of, phrases_of, unscored_of
from trainwright.prepare.work import Work
from trainwright.workers import Workers

EVALUATION, EVALUATION_TEXTS = "evaluation.arrow", "evaluation-texts.arrow"
SIGNED = ["row", "turn", "id", "words", "exact", "group", "use"]
SIGNED += [*PAIR_BANDS, *RESPONSE_BANDS, *BYTES.values(), *NUMBERS.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What becomes of the exchanges at the split."""

    chosen: Chosen
    cuts: pl.DataFrame
    """Training exchanges that lose their loss: id, turn, reason."""
    unscored: pl.DataFrame
    """Evaluation exchanges that are not scored: id, turn."""
    phrases: pl.DataFrame
    """Evaluation exchanges whose response is a phrase of the data: id, turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTask:
    """One slice whose training exchanges are compared with those of evaluation."""

    work: Work
    slice: Slice
    chosen: Chosen


def assign(work: Work, slices: Sequence[Slice], workers: Workers, validation: float, test: float) -> Assignment:
    """Choose groups for the shares of validation and test, and find the links to cut."""
    chosen = choose(sizes_of(_targets(work, piece, ["group", "use"]) for piece in slices), validation, test)
    evaluation, texts = [], []
    for piece in slices:
        mine = _targets(work, piece, SIGNED)
        mine = mine.filter(splits_of(mine["group"], mine["use"], chosen) != "train")
        wanted = mine.select("row", "turn", number=pl.int_range(pl.len(), dtype=pl.UInt32))
        evaluation.append(mine)
        if mine.height:
            texts.append(texts_of(TextTask(work=work, slice=piece, wanted=wanted)))
    signed = pl.concat(evaluation)
    matches = pl.DataFrame(schema=MATCHES)
    if signed.height:
        signed.write_ipc(work.folder / EVALUATION)
        pl.concat(texts).write_ipc(work.folder / EVALUATION_TEXTS)
        tasks = [LinkTask(work=work, slice=piece, chosen=chosen) for piece in slices]
        matches = pl.concat(workers.map(find_links, tasks))
    phrases = phrases_of(matches, signed)
    return Assignment(
        chosen=chosen,
        cuts=cuts_of(matches, signed, phrases),
        unscored=unscored_of(matches, signed),
        phrases=phrases,
    )


def find_links(task: LinkTask) -> pl.DataFrame:
    """The matches of one slice's training exchanges."""
    work, piece = task.work, task.slice
    signed = _targets(work, piece, SIGNED)
    training = signed.filter(splits_of(signed["group"], signed["use"], task.chosen) == "train")

    def training_texts(wanted: pl.DataFrame) -> pl.DataFrame:
        numbered = wanted.select("row", "turn", number=pl.int_range(pl.len(), dtype=pl.UInt32))
        found = texts_of(TextTask(work=work, slice=piece, wanted=numbered))
        return found.sort("number").select("prompt", "response")

    evaluation, texts = (pl.read_ipc(work.folder / name) for name in (EVALUATION, EVALUATION_TEXTS))
    return matches_of(training, evaluation, training_texts, texts, work.near, table_of(work.boilerplate))


def _targets(work: Work, piece: Slice, columns: list[str]) -> pl.DataFrame:
    """Signed exchanges of a slice that duplicates leave their loss, in order."""
    keys = list(dict.fromkeys(["row", "turn", *columns]))
    signed = piece.load(work.folder, "signed", keys)
    losers = piece.load(work.folder, "losers", ["row", "turn"])
    return signed.join(losers, on=["row", "turn"], how="anti", maintain_order="left").select(columns)
