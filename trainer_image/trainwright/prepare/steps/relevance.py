"""relevance: responses that are too short, mostly signs, repetitive or broken off; rows too long or off the subject.

A response that fails loses its loss, and its conversation goes when no target is left.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from trainwright.prepare.batch import Batch, Mask, mask_of
from trainwright.prepare.lexicon import Lexicon
from trainwright.prepare.work import Work

SYMBOL = r"[^\p{L}\p{M}\p{N}\p{Cf}\s]"
LEAST_SYMBOLS = 5
"""A smile or an equation is not noise, whatever its share of a short text."""
LEAST_WORDS = 10
LEAST_CHARS = 30
LONGEST = 400
"""Repetition is looked for in so many words or characters: in longer text its share grows by itself."""
GRAM = 3
TRAILING = (
    r"(?:^|\s)(?:a|an|the|and|or|nor|but|because|of|my|your|his|our|their|whose|if|unless|although|than|into|onto)\s*$"
)
"""English words that no sentence ends with. A missing full stop says nothing: 55 % of good chat responses lack it."""


def apply(batch: Batch, work: Work) -> None:
    """Exclude irrelevant responses and take irrelevant rows."""
    settings = work.prepare.relevance
    batch.drop(_too_long(batch, settings.max_chars), "tooLong")
    if settings.keywords:
        hits = Lexicon(settings.keywords).places(batch.turns["content"].str.to_lowercase())
        _drop_rows_of(batch, hits, "keyword")
    if settings.topics:
        topic = pl.col("metadata").str.json_path_match("$.topic")
        batch.drop(mask_of(batch.rows.select(topic.is_in(settings.topics)).to_series()), "topic")
    _exclude(batch, "tooShort", _responses(batch).filter(pl.col("text").str.len_chars() < settings.min_chars))
    _exclude(batch, "symbols", _symbolic(_responses(batch), settings.max_symbol_share))
    _exclude(batch, "repetitive", _repetitive(_responses(batch), settings.max_repeat_share))
    broken = _responses(batch).filter(pl.col("text").str.tail(10).str.contains(TRAILING))
    if settings.incomplete == "Drop":
        _exclude(batch, "incomplete", broken)
    else:
        batch.tally.changed["incomplete"] += broken.height


def _responses(batch: Batch) -> pl.DataFrame:
    """Texts of the targets, with their place among the turns."""
    numbered = batch.turns.select(text="content", role="role", train="train", place=pl.int_range(pl.len()))
    return numbered.filter(pl.col("train") & (pl.col("role") == "assistant") & pl.col("text").is_not_null())


def _exclude(batch: Batch, reason: str, responses: pl.DataFrame) -> None:
    hits = pl.repeat(False, batch.turns.height, eager=True).scatter(responses["place"], True)
    batch.exclude(hits.to_numpy(), reason)


def _drop_rows_of(batch: Batch, places: pl.Series, reason: str) -> None:
    hits = pl.repeat(False, batch.turns.height, eager=True).scatter(places, True)
    batch.drop(batch.rows_with(hits.to_numpy()), reason)


def _too_long(batch: Batch, max_chars: int) -> Mask:
    chars = batch.turns.select(pl.col("content").str.len_chars().fill_null(0))["content"].to_numpy()
    totals = np.bincount(batch.turns["row"].to_numpy(), weights=chars, minlength=len(batch.kept))
    return totals > max_chars


def _symbolic(responses: pl.DataFrame, max_share: float) -> pl.DataFrame:
    symbols = pl.col("text").str.count_matches(SYMBOL)
    return responses.filter((symbols >= LEAST_SYMBOLS) & (symbols > max_share * pl.col("text").str.len_chars()))


def _repetitive(responses: pl.DataFrame, max_share: float) -> pl.DataFrame:
    """Responses of which a larger share of 3-grams stood before: of words, or of characters if there are few words."""
    words = responses.with_columns(units=pl.col("text").str.to_lowercase().str.split(" ").list.head(LONGEST))
    few = pl.col("units").list.len() < LEAST_WORDS
    long = pl.col("text").str.len_chars() >= LEAST_CHARS
    chars = words.filter(few & long).with_columns(
        units=pl.col("text").str.to_lowercase().str.head(LONGEST).str.split("")
    )
    suspects = [_suspects(units, max_share) for units in (words.filter(~few), chars)]
    grams = (
        pl.concat(suspects)
        .explode("units", empty_as_null=False, keep_nulls=False)
        .select("place", *(pl.col("units").shift(-n).over("place").alias(f"unit{n}") for n in range(GRAM)))
        .drop_nulls()
    )
    counts = grams.group_by("place").agg(total=pl.len(), distinct=pl.struct(f"unit{n}" for n in range(GRAM)).n_unique())
    repeated = counts.filter(pl.col("total") - pl.col("distinct") > max_share * pl.col("total"))
    return responses.filter(pl.col("place").is_in(repeated["place"].implode()))


def _suspects(texts: pl.DataFrame, max_share: float) -> pl.DataFrame:
    """Texts with so few different units that so many of their 3-grams can repeat; the rest need no closer look."""
    units = pl.col("units").list
    most = (1 - max_share) * (units.len() - GRAM + 1) + GRAM - 1
    return texts.select("place", "units").filter(units.n_unique() <= most)
