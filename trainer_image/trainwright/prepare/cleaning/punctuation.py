"""Punctuation: one kind of quote, dash and space, at most three marks in a row, no space that nobody sees."""

from __future__ import annotations

import polars as pl

from trainwright.prepare.cleaning.code import outside_code

SIGNS = (
    dict.fromkeys("“”„‟", '"')
    | dict.fromkeys("‘’‚‛", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | dict.fromkeys("\u2014\u2015", " - ")
    | dict.fromkeys(
        "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    )
    | {"…": "..."}
)
REPEATED = {r"!{4,}": "!!!", r"\?{4,}": "???", r"\.{4,}": "...", r",{2,}": ","}
SPACES = {r"(\S) {2,}": "${1} ", r"[ \t]+\n": "\n", r"\n{3,}": "\n\n"}
NOISE = r"!!!!|\?\?\?\?|\.\.\.\.|,,|\S  |[ \t]\n|\n\n\n|^\s|\s$|[" + "".join(SIGNS) + "]"


def needs(text: pl.Expr) -> pl.Expr:
    """Texts in which something of the kind occurs."""
    return text.str.contains(NOISE)


def fix(texts: pl.Series) -> pl.Series:
    """The texts with plain punctuation and spaces; indentation stays."""
    return outside_code(texts, _plain).str.strip_chars()


def _plain(texts: pl.Series) -> pl.Series:
    plain = texts.str.replace_many(list(SIGNS), list(SIGNS.values()))
    for pattern, new in (REPEATED | SPACES).items():
        plain = plain.str.replace_all(pattern, new)
    return plain
