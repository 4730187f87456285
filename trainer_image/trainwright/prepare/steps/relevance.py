"""relevance: responses that are too short, mostly signs, repetitive or broken off; rows too long or off the subject.

A response that fails loses its loss, and its conversation goes when no target is left.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

from trainwright.prepare.batch import Batch, Mask, mask_of
from trainwright.prepare.lexicon import Lexicon
from trainwright.prepare.work import Work

SYMBOL = r"[^\p{L}\p{M}\p{N}\p{Cf}\s]"
LEAST_SYMBOLS = 5
"""A smile or an equation is not noise, whatever its share of a short text."""
LEAST_WORDS = 10
ENDLESS = 20
"""A word of so many letters is laughter, a shout, or a text in a script without spaces."""
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
        hits = Lexicon(settings.keywords).places(batch.turns["content"])
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
    """Responses of which a larger share of 3-grams stood before: of words, or of characters where a word has no end."""
    texts = responses.select("place", text=pl.col("text").str.to_lowercase())
    words = texts.with_columns(units=pl.col("text").str.split(" ").list.head(LONGEST))
    few = pl.col("units").list.len() < LEAST_WORDS
    endless = words.filter(few & pl.col("text").str.contains(rf"\S{{{ENDLESS}}}"))
    chars = endless.with_columns(units=pl.col("text").str.head(LONGEST).str.split(""))
    suspects = pl.concat([_suspects(words.filter(~few), max_share), chars.select("place", "units")])
    lengths = suspects["units"].list.len().to_numpy().astype(np.int64)
    hashes = suspects.select(pl.col("units").explode(empty_as_null=False, keep_nulls=False)).select(
        plh.col("units").nchash.xxh3_64()
    )["units"]
    repeated = suspects.filter(pl.Series(_repeats(hashes.to_numpy(), lengths, max_share), dtype=pl.Boolean))
    return responses.filter(pl.col("place").is_in(repeated["place"].implode()))


def _suspects(texts: pl.DataFrame, max_share: float) -> pl.DataFrame:
    """Texts with so few different units that so many of their 3-grams can repeat; the rest need no closer look."""
    units = pl.col("units").list
    most = (1 - max_share) * (units.len() - GRAM + 1) + GRAM - 1
    return texts.select("place", "units").filter(units.n_unique() <= most)


def _repeats(hashes: npt.NDArray[np.uint64], lengths: npt.NDArray[np.int64], max_share: float) -> Mask:
    """Which texts, given as hashes of their units one after the other, repeat more of their 3-grams than that."""
    text = np.repeat(np.arange(len(lengths)), lengths)
    last = len(hashes) - GRAM + 1
    grams = np.zeros(max(last, 0), np.uint64)
    for n in range(GRAM):
        grams = (grams ^ hashes[n : n + last]) * np.uint64(0x9E3779B97F4A7C15)
        grams ^= grams >> np.uint64(29)
    inside = text[: len(grams)] == text[GRAM - 1 :]
    keys = np.unique(np.stack([text[: len(grams)][inside].astype(np.uint64), grams[inside]]), axis=1)
    distinct = np.bincount(keys[0].astype(np.int64), minlength=len(lengths))
    total = np.maximum(lengths - GRAM + 1, 0)
    repeats: Mask = total - distinct > max_share * total
    return repeats
