"""Code in chat texts: between backticks nothing is noise."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from trainwright.prepare import pieces

CODE = r"(?s:```.*?```)|`[^`\n]+`"


def outside_code(texts: pl.Series, fix: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Fix the texts, but not what stands between backticks."""
    coded = texts.str.contains("`", literal=True).arg_true()
    if not len(coded):
        return fix(texts)
    parts = pieces.split(texts.gather(coded), CODE)
    fixed = parts.with_columns(piece=pl.when("inside").then("piece").otherwise(fix(parts["piece"])))
    return fix(texts).scatter(coded, pieces.join(fixed))
