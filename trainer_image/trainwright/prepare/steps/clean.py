"""clean: HTML, control and invisible characters, Unicode form, emoji, punctuation, case.

Each operation looks for texts that need it and works on those only. What tools say is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from trainwright.prepare.batch import Batch, Mask, mask_of
from trainwright.prepare.cleaning import characters, emoji, html, punctuation
from trainwright.prepare.work import Work

if TYPE_CHECKING:
    from trainwright.api import Clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One kind of noise: which texts have it, and how they look without."""

    name: str
    needs: Callable[[pl.Expr], pl.Expr]
    fix: Callable[[pl.Series], pl.Series]
    in_ascii: bool = True
    """Whether a text of ASCII alone may have it."""
    is_on: Callable[[Clean], bool] = lambda clean: True


OPERATIONS: tuple[Operation, ...] = (
    Operation(name="html", needs=html.needs, fix=html.fix, is_on=lambda clean: clean.html),
    Operation(name="control", needs=characters.needs_control, fix=characters.fix_control),
    Operation(name="invisible", needs=characters.needs_invisible, fix=characters.fix_invisible, in_ascii=False),
    Operation(
        name="unicode",
        needs=lambda text: text.is_not_null(),
        fix=lambda texts: texts.str.normalize("NFC"),
        in_ascii=False,
    ),
    Operation(name="emoji", needs=emoji.needs, fix=emoji.fix, is_on=lambda clean: clean.emoji == "Remove"),
    Operation(name="punctuation", needs=punctuation.needs, fix=punctuation.fix, is_on=lambda clean: clean.punctuation),
    Operation(
        name="lowercase",
        needs=lambda text: text.is_not_null(),
        fix=lambda texts: texts.str.to_lowercase(),
        is_on=lambda clean: clean.lowercase,
    ),
)


def apply(batch: Batch, work: Work) -> None:
    """Clean all texts but tools'; responses without text, or to an empty turn, lose their loss."""
    for operation in OPERATIONS:
        if operation.is_on(work.prepare.clean):
            places = _places(batch, operation)
            batch.rewrite("content", places, operation.fix(batch.turns["content"].gather(places)), operation.name)
    batch.exclude(_empty(batch) & batch.targets, "emptyResponse")
    batch.act(_empty(batch) & batch.has_role("user"), "NoTrain", "emptyPrompt")


def _places(batch: Batch, operation: Operation) -> pl.Series:
    """The turns that need the operation, of all but tools."""
    text = pl.col("content")
    looked_at = pl.col("role") != "tool"
    if not operation.in_ascii:
        looked_at &= text.str.len_bytes() != text.str.len_chars()
    turns = batch.turns.select("content", "role", place=pl.int_range(pl.len(), dtype=pl.UInt32)).filter(looked_at)
    return turns.filter(operation.needs(text))["place"]


def _empty(batch: Batch) -> Mask:
    silent = pl.col("content").fill_null("").str.strip_chars() == ""
    return mask_of(batch.turns.select(silent & pl.col("toolCalls").is_null()).to_series())
