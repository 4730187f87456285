"""personalData: e-mail addresses, phone, card and account numbers, IP addresses, national identifiers, web addresses.

All turns are searched, system turns, tools' and their arguments too. Found items are replaced by typed placeholders,
or decide about their conversation, as the spec says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import polars as pl

from trainwright.formats.rows import FLAG_PERSONAL_DATA
from trainwright.prepare import pieces
from trainwright.prepare.batch import Action, Batch
from trainwright.prepare.personal.kinds import KINDS, Kind
from trainwright.prepare.work import Work

SIGNS, SIGNS_OF_URLS = "[0-9@]", r"[0-9@]|://|(?i:www\.)"
"""Every kind holds one of these."""


def apply(batch: Batch, work: Work) -> None:
    """Find the kinds the spec names, and do with them what it says."""
    settings = work.prepare.personal_data
    kinds = {name: kind for name, kind in KINDS.items() if name in settings.kinds}
    for column in ("content", "toolCalls"):
        places = _suspects(batch, column, kinds)
        for name, kind in kinds.items():
            turns = batch.turns.height
            _treat(batch, column, places, name, kind, settings.action)
            if batch.turns.height != turns:
                places = _suspects(batch, column, kinds)


def _suspects(batch: Batch, column: str, kinds: Iterable[str]) -> pl.Series:
    """Places of the texts that may hold anything at all."""
    signs = SIGNS_OF_URLS if "url" in kinds else SIGNS
    return batch.turns[column].str.contains(signs).fill_null(False).arg_true()


def _treat(
    batch: Batch, column: str, places: pl.Series, name: str, kind: Kind, action: Action | Literal["Replace"]
) -> None:
    """Look for one kind in the texts at these places, and act."""
    texts = batch.turns[column].gather(places)
    guarded = texts.str.contains(kind.guard)
    if not guarded.any():
        return
    parts = _judged(pieces.split(texts.filter(guarded), kind.pattern), kind)
    lines = parts.filter("found")["line"].unique().sort()
    if not len(lines):
        return
    places = places.filter(guarded).gather(lines)
    hits = batch.at(places)
    redacted = _redacted(parts.filter(pl.col("line").is_in(lines.implode())), kind, is_json=column == "toolCalls")
    if action == "Replace":
        batch.rewrite(column, places, redacted, name)
        batch.flag(hits, FLAG_PERSONAL_DATA)
        return
    if action in ("Drop", "Cut"):
        spared = pl.Series(batch.of_spared(hits)).gather(places)
        batch.rewrite(column, places.filter(spared), redacted.filter(spared), name)
    batch.act(hits, action, name, FLAG_PERSONAL_DATA)


def _judged(parts: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """The pieces, with `found` on those that are personal data."""
    parts = parts.with_columns(found=pl.col("inside") & kind.accepts)
    if kind.checks is None:
        return parts
    candidates = parts["found"].arg_true()
    return parts.with_columns(found=parts["found"].scatter(candidates, kind.checks(parts[candidates])))


def _redacted(parts: pl.DataFrame, kind: Kind, *, is_json: bool) -> pl.Series:
    """The texts with a placeholder for what was found; in JSON it is a string wherever it stands."""
    placeholder: pl.Expr = pl.lit(kind.placeholder)
    if is_json:
        quotes = pl.col("piece").str.count_matches('"', literal=True) - pl.col("piece").str.count_matches(
            '\\"', literal=True
        )
        is_in_string = (quotes.cum_sum() - quotes).over("line") % 2 == 1
        placeholder = pl.when(is_in_string).then(placeholder).otherwise(pl.lit(f'"{kind.placeholder}"'))
    return pieces.join(parts.with_columns(piece=pl.when("found").then(placeholder).otherwise("piece")))
