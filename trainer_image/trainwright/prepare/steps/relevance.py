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
        places = Lexicon(settings.keywords).places(batch.turns["content"])
        batch.drop(batch.rows_with(batch.at(places)), "keyword")
    if settings.topics:
        topic = pl.col("metadata").str.json_path_match("$.topic")
        batch.drop(mask_of(batch.rows.select(topic.is_in(settings.topics)).to_series()), "topic")
    responses = _responses(batch)
    broken = responses.filter(pl.col("text").str.tail(10).str.contains(TRAILING))
    found = {
        "tooShort": responses.filter(pl.col("text").str.len_chars() < settings.min_chars),
        "symbols": _symbolic(responses, settings.max_symbol_share),
        "repetitive": _repetitive(responses, settings.max_repeat_share),
    }
    if settings.incomplete == "Drop":
        found["incomplete"] = broken
    else:
        batch.tally.changed["incomplete"] += broken.height
    batch.judge({reason: texts["place"] for reason, texts in found.items()})


def _responses(batch: Batch) -> pl.DataFrame:
    """Texts of the targets, with their place among the turns."""
    numbered = batch.turns.select(text="content", train="train", place=pl.int_range(pl.len(), dtype=pl.UInt32))
    return numbered.filter(pl.col("train") & pl.col("text").is_not_null()).select("place", "text")


def _too_long(batch: Batch, max_chars: int) -> Mask:
    chars = batch.turns.select(pl.col("content").str.len_chars().fill_null(0))["content"].to_numpy()
    totals = np.bincount(batch.turns["row"].to_numpy(), weights=chars, minlength=len(batch.kept))
    return totals > max_chars


def _symbolic(responses: pl.DataFrame, max_share: float) -> pl.DataFrame:
    symbols = pl.col("text").str.count_matches(SYMBOL)
    return responses.filter((symbols >= LEAST_SYMBOLS) & (symbols > max_share * pl.col("text").str.len_chars()))


def _repetitive(responses: pl.DataFrame, max_share: float) -> pl.DataFrame:
    """Responses of which a larger share of 3-grams stood before: of words, or of characters where a word has no end."""
    lower, text = pl.col("text").str.to_lowercase(), pl.col("text")
    many = text.str.count_matches(" ", literal=True) >= LEAST_WORDS - 1
    words = responses.filter(many).select("place", units=lower.str.split(" "))
    words = _suspects(words, max_share).with_columns(pl.col("units").list.head(LONGEST))
    endless = responses.filter(~many & text.str.contains(rf"\S{{{ENDLESS}}}"))
    suspects = pl.concat([words, endless.select("place", units=lower.str.head(LONGEST).str.split(""))])
    lengths = suspects["units"].list.len().to_numpy().astype(np.int64)
    units = suspects.select(pl.col("units").explode(empty_as_null=False, keep_nulls=False))
    hashes = units.select(plh.col("units").nchash.xxh3_64())["units"].to_numpy()
    return suspects.select("place").filter(pl.Series(_repeats(hashes, lengths, max_share), dtype=pl.Boolean))


def _suspects(texts: pl.DataFrame, max_share: float) -> pl.DataFrame:
    """Texts with so few different words that so many of their 3-grams can repeat; the rest need no closer look."""
    units = pl.col("units").list
    most = (1 - max_share) * (units.len() - GRAM + 1) + GRAM - 1
    return texts.filter((units.n_unique() <= most) | (units.len() > LONGEST))


def _repeats(hashes: npt.NDArray[np.uint64], lengths: npt.NDArray[np.int64], max_share: float) -> Mask:
    """Which texts, given as hashes of their units one after the other, repeat more of their 3-grams than that."""
    text = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    last = max(len(hashes) - GRAM + 1, 0)
    grams = np.zeros(last, np.uint64)
    for n in range(GRAM):
        grams = (grams ^ hashes[n : n + last]) * np.uint64(0x9E3779B97F4A7C15)
        grams ^= grams >> np.uint64(29)
    inside = text[:last] == text[GRAM - 1 :]
    keys = np.unique(text[:last][inside] << np.uint64(40) | grams[inside] >> np.uint64(24))
    distinct = np.bincount((keys >> np.uint64(40)).astype(np.int64), minlength=len(lengths))
    total = np.maximum(lengths - GRAM + 1, 0)
    repeats: Mask = total - distinct > max_share * total
    return repeats
