"""Exchanges: each response with the turn before it, in the form in which duplicates are looked for.

In: canonical rows. Out: one line per target exchange: row (index), turn, prompt, response, size (of the response, bytes).
"""

from __future__ import annotations

import polars as pl

from trainwright.prepare.batch import turns_of

IGNORED = r"[\s.,!?;:'\"()…“”‘’„«»¿¡。，！？、]+"
"""Runs of these count as one space: two texts that differ in them and in case only are the same."""


def exchanges_of(rows: pl.DataFrame, only: pl.DataFrame | None = None) -> pl.DataFrame:
    """The exchanges of the rows that are targets, or those that `only` names by row and turn, with normal texts.

    The prompt is the turn before the response, unless that is a system turn; plain text has an empty one.
    """
    said = pl.coalesce("content", "toolCalls").fill_null("")
    turns = turns_of(rows).with_columns(said=pl.when(pl.col("role") != "system").then(said).otherwise(pl.lit("")))
    turns = turns.with_columns(
        prompt=pl.when(pl.col("turn") > 0).then(pl.col("said").shift(1)).otherwise(pl.lit("")),
        place=pl.int_range(pl.len()),
    )
    if only is None:
        found = turns.filter(pl.col("exchange") & pl.col("train"))
    else:
        found = turns.join(only, on=["row", "turn"], how="semi", maintain_order="left")
    return found.select(
        "row", "turn", prompt=normal("prompt"), response=normal("said"), size=pl.col("said").str.len_bytes()
    )


def normal(column: str) -> pl.Expr:
    """Lower case, without punctuation and extra space; a text of nothing else is kept as it is."""
    lower = pl.col(column).str.to_lowercase()
    short = lower.str.replace_all(IGNORED, " ").str.strip_chars(" ")
    return pl.when(short == "").then(lower).otherwise(short)
