"""Conversations at work: rows and their turns in two flat frames, so that every step is vectorised over turns.

In: canonical rows. Steps change texts, take rows, cut them or switch off the loss of turns through the methods here,
which count what happens and keep what is taken. Out: canonical rows again, and the taken ones with step and reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.formats.rows import MESSAGE, SCHEMA

Mask: TypeAlias = npt.NDArray[np.bool_]
TURN_COLUMNS = [name.name for name in MESSAGE.fields]
DROPPED_SCHEMA = SCHEMA | {"step": pl.String, "reason": pl.String}


@dataclass(slots=True)
class Tally:
    """What one step did, in exchanges (`changed`: in turns). Tallies of slices are summed."""

    step: str
    entered: int = 0
    left: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Exchanges taken, by reason; they sum to entered - left."""
    changed: Counter[str] = field(default_factory=Counter)
    """Turns changed, or seen and left as they are, by what was done or found."""
    spared: Counter[str] = field(default_factory=Counter)
    """Exchanges of evaluation sources that would have been taken."""
    sources: Counter[str] = field(default_factory=Counter)
    """Exchanges taken, by source."""

    def add(self, other: Tally) -> None:
        """Add what the same step did elsewhere."""
        self.entered += other.entered
        self.left += other.left
        for mine, theirs in (
            (self.reasons, other.reasons),
            (self.changed, other.changed),
            (self.spared, other.spared),
            (self.sources, other.sources),
        ):
            mine.update(theirs)


class Batch:
    """Rows and turns of some conversations.

    `rows`: the canonical columns without messages, in order; `spared` marks rows of evaluation sources.
    `turns`: row (index into rows), turn, exchange (is this the response of one), and the columns of a message.
    """

    def __init__(self, rows: pl.DataFrame, spared: Iterable[str] = ()) -> None:
        self.rows = rows.drop("messages").with_columns(spared=pl.col("source").is_in(list(spared)))
        self.turns = turns_of(rows)
        self.spared: Mask = self.rows["spared"].to_numpy()
        self.kept: Mask = np.ones(rows.height, dtype=bool)
        self.dropped: list[pl.DataFrame] = []
        self.tally = Tally(step="")

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

    def has_role(self, *roles: str) -> Mask:
        """Which turns are of one of these roles."""
        mask: Mask = self.turns["role"].is_in(list(roles)).to_numpy()
        return mask

    def rows_with(self, turns: Mask) -> Mask:
        """Which rows hold at least one of these turns."""
        found = np.zeros(len(self.kept), dtype=bool)
        found[self.turns["row"].to_numpy()[turns]] = True
        return found

    def drop(self, rows: Mask, reason: str) -> None:
        """Take whole rows; those of evaluation sources stay and are counted as spared."""
        rows = rows & self.kept
        if not rows.any():
            return
        self._spare(rows & self.spared, reason)
        rows &= ~self.spared
        self._take(rows[self.turns["row"].to_numpy()], reason)
        self.kept &= ~rows

    def exclude(self, turns: Mask, reason: str, flag: int = 0) -> None:
        """Switch off the loss of responses; a row without any target left goes. Evaluation sources are spared."""
        if not turns.any():
            return
        spared = self.spared[self.turns["row"].to_numpy()]
        self.tally.spared[reason] += int((turns & spared & self.turns["exchange"].to_numpy()).sum())
        turns = turns & ~spared & self.turns["train"].to_numpy()
        self.tally.changed[f"noTrain.{reason}"] += int(turns.sum())
        off = pl.Series(turns)
        self.turns = self.turns.with_columns(
            train=pl.col("train") & ~off,
            flags=pl.when(off).then(pl.col("flags") | pl.lit(flag, pl.UInt32)).otherwise("flags"),
        )
        touched = self.rows_with(turns)
        self.drop(touched & ~self.rows_with(self.turns["train"].to_numpy()), reason)

    def _spare(self, rows: Mask, reason: str) -> None:
        of_rows = rows[self.turns["row"].to_numpy()] & self.turns["exchange"].to_numpy()
        self.tally.spared[reason] += int(of_rows.sum())

    def _take(self, turns: Mask, reason: str) -> None:
        """Move turns out of the batch, into `dropped`."""
        gone = self.turns.filter(pl.Series(turns))
        if not gone.height:
            return
        self.turns = self.turns.filter(pl.Series(~turns))
        rows = self.rows_of(gone)
        self.dropped.append(
            rows.with_columns(step=pl.lit(self.tally.step), reason=pl.lit(reason)).select(DROPPED_SCHEMA.keys())
        )
        exchanges = gone.filter("exchange").select(source=self.rows["source"].gather(gone.filter("exchange")["row"]))
        self.tally.reasons[reason] += exchanges.height
        for source, count in exchanges.group_by("source").len().iter_rows():
            self.tally.sources[source] += count

    def rows_of(self, turns: pl.DataFrame) -> pl.DataFrame:
        """Canonical rows made of these turns, in order."""
        packed = (
            turns.select("row", messages=pl.struct(TURN_COLUMNS)).group_by("row", maintain_order=True).agg("messages")
        )
        return pl.concat([self.rows[packed["row"]], packed.select("messages")], how="horizontal")

    def kept_rows(self) -> pl.DataFrame:
        """What is left, as canonical rows."""
        return self.rows_of(self.turns).select(SCHEMA.keys())

    def dropped_rows(self) -> pl.DataFrame:
        """What was taken, in the order of ids."""
        empty = pl.DataFrame(schema=DROPPED_SCHEMA)
        return pl.concat([empty, *self.dropped], how="vertical_relaxed").sort("id", maintain_order=True)


def turns_of(rows: pl.DataFrame) -> pl.DataFrame:
    """The turns of canonical rows, flat and in order."""
    return (
        rows.select(
            "messages",
            row=pl.int_range(pl.len(), dtype=pl.UInt32),
            length=pl.col("messages").list.len().cast(pl.UInt32),
        )
        .with_columns(turn=pl.int_ranges(pl.col("length"), dtype=pl.UInt32))
        .explode("messages", "turn", empty_as_null=False, keep_nulls=False)
        .unnest("messages")
        .with_columns(exchange=(pl.col("role") == "assistant") & ((pl.col("turn") > 0) | (pl.col("length") == 1)))
        .select("row", "turn", "exchange", *TURN_COLUMNS)
    )
