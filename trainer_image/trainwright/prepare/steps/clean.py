"""clean: HTML, control characters, emoji, punctuation, case."""

from __future__ import annotations

import polars as pl

from trainwright.prepare.batch import Batch
from trainwright.prepare.work import Work


def apply(batch: Batch, work: Work) -> None:
    """Clean the text of all turns but tools'; responses that end up empty lose their loss."""
    text = pl.col("content")
    cleaned = batch.turns.select(
        pl.when(pl.col("role") != "tool")
        .then(text.str.replace_all(r"[\x00-\x08\x0b-\x1f\x7f]", "").str.replace_all(r" {2,}", " ").str.strip_chars())
        .otherwise(text)
    )["content"]
    changed = (cleaned != batch.turns["content"]).fill_null(False)
    batch.tally.changed["text"] += int(changed.sum())
    batch.turns = batch.turns.with_columns(content=cleaned)
    empty = (cleaned.fill_null("") == "") & batch.turns["toolCalls"].is_null() & batch.turns["train"]
    batch.exclude(empty.to_numpy(), "empty")
