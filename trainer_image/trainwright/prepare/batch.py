"""Conversations at work: rows and their turns in two flat frames, so that every step is vectorised over turns.

In: canonical rows. Steps change texts, take rows, cut them or switch off the loss of turns through the methods here,
which count what happens and keep what is taken. Out: canonical rows again, and the taken ones with step and reason.
Rows of evaluation sources are spared: whatever a filter finds in them is counted, and they stay whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.formats.rows import MESSAGE, SCHEMA
from trainwright.prepare.tally import Tally

Mask: TypeAlias = npt.NDArray[np.bool_]
Action: TypeAlias = Literal["Drop", "Cut", "NoTrain", "Keep"]
MESSAGE_COLUMNS = [name.name for name in MESSAGE.fields]
DROPPED_SCHEMA = SCHEMA | {"step": pl.String, "reason": pl.String}


class Batch:
    """Rows and turns of some conversations.

    `rows`: the canonical columns without messages; it never shrinks, `kept` says which are still here.
    `turns`: row (index into rows), turn, the columns of a message, and exchange (is this the response of one); only
    those that are still here, in order.
    """

    def __init__(self, rows: pl.DataFrame, spared: Iterable[str] = ()) -> None:
        self.rows = rows.drop("messages")
        self.turns = turns_of(rows)
        self.spared: Mask = rows["source"].is_in(list(spared)).to_numpy()
        self.kept: Mask = np.ones(rows.height, dtype=bool)
        self.tally = Tally(step="")
        self._dropped: list[pl.DataFrame] = []

    def begin(self, step: str) -> Tally:
        """Start counting for a step."""
        self.tally = Tally(step=step, entered=self.exchange_count)
        return self.tally

    def end(self) -> None:
        """Finish counting for the step."""
        self.tally.left = self.exchange_count

    @property
    def exchange_count(self) -> int:
        """Exchanges in the conversations that are still here."""
        return int(self.turns["exchange"].sum())

    def exchanges_by_source(self, turns: pl.DataFrame) -> Counter[str]:
        """How many of these turns are responses of exchanges, by source."""
        sources = self.rows["source"].gather(turns.filter("exchange")["row"])
        return Counter(dict(sources.value_counts().iter_rows()))

    def has_role(self, *roles: str) -> Mask:
        """Which turns are of one of these roles."""
        return mask_of(self.turns["role"].is_in(list(roles)))

    @property
    def targets(self) -> Mask:
        """Which turns are learned from."""
        return mask_of(self.turns["train"])

    def rows_with(self, turns: Mask) -> Mask:
        """Which rows hold at least one of these turns."""
        found = np.zeros(len(self.kept), dtype=bool)
        found[self.turns["row"].to_numpy()[turns]] = True
        return found

    def at(self, places: pl.Series) -> Mask:
        """The turns at these places."""
        turns = np.zeros(self.turns.height, dtype=bool)
        turns[places.to_numpy()] = True
        return turns

    def rewrite(self, column: str, where: pl.Series, new: pl.Series, what: str) -> None:
        """Put `new` texts at the places `where` of a column of the turns; counts the turns that differ."""
        if len(where):
            old = self.turns[column]
            self.tally.changed[what] += int((old.gather(where) != new).sum())
            self.turns = self.turns.with_columns(old.scatter(where, new).alias(column))

    def act(self, hits: Mask, action: Action, reason: str, flag: int = 0) -> None:
        """Do with the conversations of the turns hit what the spec says, and flag the turns that stay.

        Drop: the conversation goes. Cut: the exchange of the first hit and all that follows goes. NoTrain: the hit
        responses, and responses to hit turns, lose their loss. Keep: hits are counted only.
        """
        if not hits.any():
            return
        self.flag(hits, flag)
        if action == "Drop":
            self.drop(self.rows_with(hits), reason)
        elif action == "Cut":
            self._cut(hits, reason)
        elif action == "NoTrain":
            self.exclude(self._responses_to(hits), reason)
        else:
            self.tally.changed[reason] += int(hits.sum())

    def drop(self, rows: Mask, reason: str) -> None:
        """Take whole rows; spared ones stay."""
        rows = rows & self.kept
        if rows.any():
            of_rows = rows[self.turns["row"].to_numpy()]
            self._take(of_rows & ~self._spare(of_rows, reason), reason)
            self.kept &= ~rows | self.spared

    def exclude(self, turns: Mask, reason: str, flag: int = 0) -> None:
        """Switch off the loss of turns; a row goes when it has no target left. Spared rows keep theirs."""
        if not turns.any():
            return
        turns = turns & self.targets
        turns &= ~self._spare(turns, reason)
        self.turns = self.turns.with_columns(train=pl.col("train") & ~pl.Series(turns))
        self.flag(turns, flag)
        silent = self.rows_with(turns) & ~self.rows_with(self.targets)
        self.tally.changed[f"noTrain.{reason}"] += int((turns & ~silent[self.turns["row"].to_numpy()]).sum())
        self.drop(silent, reason)

    def judge(self, places: dict[str, pl.Series], flag: int = 0) -> None:
        """Exclude turns for several reasons: reason → places of the turns as they are now; the first reason counts."""
        verdict = pl.repeat(None, self.turns.height, dtype=pl.String, eager=True)
        for reason in reversed(places):
            verdict = verdict.scatter(places[reason], reason)
        self.turns = self.turns.with_columns(verdict=verdict)
        for reason in places:
            self.exclude(mask_of(self.turns["verdict"] == reason), reason, flag)
        self.turns = self.turns.drop("verdict")

    def flag(self, turns: Mask, flag: int) -> None:
        """Set a flag of formats/rows.py on turns."""
        if flag and turns.any():
            flagged = pl.col("flags") | pl.lit(flag, pl.UInt32)
            self.turns = self.turns.with_columns(flags=pl.when(pl.Series(turns)).then(flagged).otherwise("flags"))

    def of_spared(self, turns: Mask) -> Mask:
        """Which of these turns are of rows that no filter may take."""
        spared: Mask = turns & self.spared[self.turns["row"].to_numpy()]
        return spared

    def kept_rows(self) -> pl.DataFrame:
        """What is left, as canonical rows."""
        return self._rows_of(self.turns).select(SCHEMA.keys())

    def dropped_rows(self) -> pl.DataFrame:
        """What was taken, sorted by id."""
        empty = pl.DataFrame(schema=DROPPED_SCHEMA)
        return pl.concat([empty, *self._dropped], how="vertical_relaxed").sort("id", maintain_order=True)

    def _cut(self, hits: Mask, reason: str) -> None:
        starts = self._exchange_starts()
        rows = self.turns["row"].to_numpy()
        first = np.full(len(self.kept), len(rows), dtype=np.int64)
        np.minimum.at(first, rows[hits], starts[hits])
        tail = np.arange(len(rows)) >= first[rows]
        self.tally.changed[f"cut.{reason}"] += int((self.rows_with(tail) & ~self.spared).sum())
        touched = self.rows_with(tail)
        self._take(tail & ~self._spare(tail, reason), reason)
        self.drop(touched & ~self.rows_with(self.targets) & ~self.spared, reason)
        self.kept &= self.rows_with(np.ones(self.turns.height, dtype=bool)) | self.spared

    def _responses_to(self, hits: Mask) -> Mask:
        """Hit responses, and the responses that follow a hit turn before the next user turn."""
        starts = self._exchange_starts()
        responses = self.has_role("assistant")
        first = np.full(len(starts), len(starts), dtype=np.int64)
        asked = np.flatnonzero(hits & ~responses)
        np.minimum.at(first, starts[asked], asked)
        return responses & (hits | (np.arange(len(starts)) > first[starts]))

    def _exchange_starts(self) -> npt.NDArray[np.int64]:
        """For each turn the place of the last user turn at or before it, or of its row's first turn."""
        is_start = self.has_role("user") | (self.turns["turn"].to_numpy() == 0)
        return np.maximum.accumulate(np.where(is_start, np.arange(len(is_start)), 0))

    def _spare(self, turns: Mask, reason: str) -> Mask:
        """Which of these turns are of spared rows; counts their exchanges."""
        spared = self.of_spared(turns)
        self.tally.spared[reason] += int((spared & mask_of(self.turns["exchange"])).sum())
        return spared

    def _take(self, turns: Mask, reason: str) -> None:
        """Move turns out of the batch, to what was dropped."""
        gone = self.turns.filter(pl.Series(turns))
        if not gone.height:
            return
        self.turns = self.turns.filter(pl.Series(~turns))
        why = {"step": pl.lit(self.tally.step), "reason": pl.lit(reason)}
        self._dropped.append(self._rows_of(gone).with_columns(**why).select(DROPPED_SCHEMA.keys()))
        for source, count in self.exchanges_by_source(gone).items():
            self.tally.reasons[reason] += count
            self.tally.sources[source, reason] += count

    def _rows_of(self, turns: pl.DataFrame) -> pl.DataFrame:
        messages = pl.struct(MESSAGE_COLUMNS).alias("messages")
        packed = turns.select("row", messages).group_by("row", maintain_order=True).agg("messages")
        return pl.concat([self.rows[packed["row"]], packed.select("messages")], how="horizontal")


def turns_of(rows: pl.DataFrame) -> pl.DataFrame:
    """The turns of canonical rows, flat and in order, with the place of their row and their own."""
    return (
        rows.select("messages", row=pl.int_range(pl.len(), dtype=pl.UInt32))
        .with_columns(turn=pl.int_ranges(pl.col("messages").list.len(), dtype=pl.UInt32))
        .explode("messages", "turn", empty_as_null=False, keep_nulls=False)
        .unnest("messages")
        .select("row", "turn", *MESSAGE_COLUMNS, exchange=pl.col("role") == "assistant")
    )


def mask_of(values: pl.Series) -> Mask:
    """A boolean column as an array; null counts as no."""
    mask: Mask = values.fill_null(False).to_numpy()
    return mask
