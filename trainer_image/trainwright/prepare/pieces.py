"""Texts in pieces: what a pattern matches and what stands between, as a flat frame that can be put together again.

The regular expressions of polars know no look-around; with the pieces side by side a match can be judged by what is
before and after it, changed or left alone, without a loop over rows.
"""

from __future__ import annotations

import polars as pl

MARK = "\ufdd0"
"""A noncharacter of Unicode (never text): cleaning removes it, so it can stand between pieces."""


def split(texts: pl.Series, pattern: str) -> pl.DataFrame:
    """Cut texts at the matches: line (place of the text), piece, inside (is a match), before and after (neighbours).

    Pieces of a line alternate: between, match, between …, beginning and ending with a between, which may be empty.
    """
    marked = texts.str.replace_all(MARK, "", literal=True).str.replace_all(f"({pattern})", f"{MARK}${{1}}{MARK}")
    lists = marked.str.split(MARK).to_frame("piece").with_row_index("line")
    pieces = lists.with_columns(number=pl.int_ranges(pl.col("piece").list.len())).explode(
        "piece", "number", empty_as_null=False, keep_nulls=False
    )
    return pieces.select(
        "line",
        "piece",
        inside=pl.col("number") % 2 == 1,
        before=pl.col("piece").shift(1).fill_null(""),
        after=pl.col("piece").shift(-1).fill_null(""),
    )


def join(pieces: pl.DataFrame) -> pl.Series:
    """Put the pieces of each line together."""
    return pieces.group_by("line", maintain_order=True).agg("piece").select(pl.col("piece").list.join(""))["piece"]
