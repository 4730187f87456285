"""offensive: slurs, sexual and violent abuse, by a list of words in three tiers.

severe: slurs, abuse and threats; the action of the spec follows. crude: swearing; such turns are flagged and counted.
ambiguous: words that also mean something harmless; counted only. No tier holds a word by which people name themselves.
A list of the user's own replaces all three and is severe.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Literal

import polars as pl

from trainwright.formats.rows import FLAG_OFFENSIVE
from trainwright.prepare.batch import Action, Batch
from trainwright.prepare.lexicon import Lexicon
from trainwright.prepare.work import Work

TIERS = ("ambiguous", "crude", "severe")
"""The one that may take conversations comes last: places of turns hold until then."""


def apply(batch: Batch, work: Work) -> None:
    """Find the words in what users and assistants say, and do what the spec says."""
    tiers = lexicons(work.lexicon)
    suspects = tiers["all"].candidates(batch.turns["content"])
    suspects = suspects.filter(pl.Series(batch.has_role("user", "assistant")).gather(suspects))
    texts = batch.turns["content"].gather(suspects)
    for tier in TIERS:
        if tier in tiers:
            _treat(batch, suspects.gather(tiers[tier].places(texts)), tier, tiers[tier], work.prepare.offensive.action)


def _treat(batch: Batch, places: pl.Series, tier: str, lexicon: Lexicon, action: Action | Literal["Mask"]) -> None:
    hits = batch.at(places)
    if tier == "ambiguous":
        batch.act(hits, "Keep", tier)
    elif tier == "crude":
        batch.act(hits, "Keep", tier, FLAG_OFFENSIVE)
    elif action == "Mask":
        batch.rewrite("content", places, lexicon.masked(batch.turns["content"].gather(places)), tier)
        batch.flag(hits, FLAG_OFFENSIVE)
    else:
        batch.act(hits, action, tier, FLAG_OFFENSIVE)


@functools.cache
def lexicons(own: tuple[str, ...] | None) -> dict[str, Lexicon]:
    """The words to look for by tier, and `all` of them: the built-in ones, or the user's own."""
    if own is not None:
        return dict.fromkeys(("severe", "all"), Lexicon(own))
    tiers: dict[str, list[str]] = {}
    for line in words_of((resources.files(__package__) / "offensive_words.txt").read_text("utf-8")):
        if line.startswith("["):
            tier = tiers.setdefault(line.strip("[]"), [])
        else:
            tier.append(line)
    tiers["all"] = [word for words in tiers.values() for word in words]
    return {tier: Lexicon(words) for tier, words in tiers.items()}


def words_of(text: str) -> tuple[str, ...]:
    """The words or phrases of a list with one a line; lines that begin with # are comments."""
    return tuple(line.strip() for line in text.split("\n") if line.strip() and not line.startswith("#"))
