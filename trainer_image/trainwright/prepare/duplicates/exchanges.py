"""Exchanges: each response with the turn before it, in the form in which duplicates are looked for.

In: canonical rows. Out: one line per exchange: row (its place), turn, prompt, response, size (of the response, bytes).
"""

from __future__ import annotations

import polars as pl

from trainwright.prepare.batch import turns_of

IGNORED = list(".,!?;:\"'()[]…“”‘’„«»¿¡。，！？、\n\t")
"""Two texts that differ in these, in case and in spaces only are the same."""


def exchanges_of(rows: pl.DataFrame, only: pl.DataFrame | None = None) -> pl.DataFrame:
    """The exchanges of the rows that are targets, or those that `only` names by row and turn.

    The prompt is the turn before the response, unless that is a system turn; plain text has an empty one. A call of
    tools is the JSON of the call.
    """
    said = pl.coalesce("content", "toolCalls").fill_null("")
    turns = turns_of(rows).with_columns(said=said)
    asked = pl.when(pl.col("role") != "system").then("said").otherwise(pl.lit("")).shift(1)
    turns = turns.with_columns(prompt=pl.when(pl.col("turn") > 0).then(asked).otherwise(pl.lit("")))
    if only is None:
        found = turns.filter(pl.col("exchange") & pl.col("train"))
    else:
        found = turns.join(only.select("row", "turn"), on=["row", "turn"], how="semi", maintain_order="left")
    return found.select(
        "row",
        "turn",
        prompt=normal(found["prompt"]),
        response=normal(found["said"]),
        size=pl.col("said").str.len_bytes(),
    )


def normal(texts: pl.Series) -> pl.Series:
    """Lower case, without punctuation and extra space; a text of nothing else stays as it is."""
    lower = texts.str.to_lowercase()
    marks = [mark + " " for mark in IGNORED] + IGNORED
    plain = lower.str.replace_many(marks, [" "] * len(marks), leftmost=True).str.strip_chars(" ")
    doubled = plain.str.contains("  ", literal=True).arg_true()
    plain = plain.scatter(doubled, plain.gather(doubled).str.replace_all(r" {2,}", " "))
    empty = (plain == "").arg_true()
    return plain.scatter(empty, lower.gather(empty))


def words_in(texts: pl.Series) -> pl.Series:
    """Words of normal texts."""
    return texts.str.count_matches(" ", literal=True) + (texts != "").cast(pl.UInt32)
