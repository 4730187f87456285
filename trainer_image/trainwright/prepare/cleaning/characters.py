"""Characters nobody sees: control characters, and format characters where they carry no meaning.

Joiners stay after letters of scripts that use them and inside emoji sequences, zero-width spaces after letters of
scripts that break lines with them, direction marks in texts with right-to-left letters, tags in flags.
"""

from __future__ import annotations

import polars as pl

from trainwright.prepare import pieces

CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\x{2028}\x{2029}]"
INVISIBLE = (
    r"[\x{ad}\x{61c}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{fdd0}-\x{fdef}\x{feff}"
    r"\x{fff9}-\x{fffc}\x{e0001}-\x{e007f}]"
)
JOINING = (
    r"\p{Arabic}\p{Syriac}\p{Mandaic}\p{Mongolian}\p{Nko}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{M}"
)
BREAKING = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{M}"
RIGHT_TO_LEFT = r"[\p{Hebrew}\p{Arabic}\p{Syriac}\p{Thaana}\p{Nko}]"
PICTURE = r"\p{Extended_Pictographic}"
KEPT = {"\ufdd1": "\u200c", "\ufdd2": "\u200d", "\ufdd3": "\u200b", "\ufdd4": "\u200d"}
"""Noncharacters that stand for joiners and breaks that stay, while all others are removed."""
FLAG = r"\x{1f3f4}[\x{e0020}-\x{e007e}]+\x{e007f}"


def needs_control(text: pl.Expr) -> pl.Expr:
    """Texts with control characters, or line ends other than a line feed."""
    return text.str.contains(CONTROL)


def fix_control(texts: pl.Series) -> pl.Series:
    """The texts with line feeds for all kinds of line ends, and without escape sequences and control characters."""
    return (
        texts.str.replace_all(r"\r\n|[\r\x0b\x0c\x85\x{2028}\x{2029}]", "\n")
        .str.replace_all(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "")
        .str.replace_all(r"[\x1c-\x1f]", " ")
        .str.replace_all(CONTROL, "")
    )


def needs_invisible(text: pl.Expr) -> pl.Expr:
    """Texts with characters of no width."""
    return text.str.contains(INVISIBLE)


def fix_invisible(texts: pl.Series) -> pl.Series:
    """The texts with only those invisible characters that carry meaning."""
    marked = (
        texts.str.replace_all(r"[\x{fdd0}-\x{fdef}]", "")
        .str.replace_all(rf"([{JOINING}])\x{{200c}}+", "${1}\ufdd1")
        .str.replace_all(rf"([{JOINING}])\x{{200d}}+", "${1}\ufdd2")
        .str.replace_all(rf"([{BREAKING}])\x{{200b}}+", "${1}\ufdd3")
        .str.replace_all(rf"([{PICTURE}\x{{fe0f}}\x{{1f3fb}}-\x{{1f3ff}}])[\x{{200d}}\x{{fdd2}}]", "${1}\ufdd4")
        .str.replace_all(rf"\x{{fdd4}}([^{PICTURE}]|$)", "${1}")
    )
    marked = _without_hidden_tags(marked)
    directed = marked.str.contains(RIGHT_TO_LEFT)
    undirected = marked.str.replace_all(r"[\x{61c}\x{200e}\x{200f}\x{202a}-\x{202c}\x{2066}-\x{2069}]", "")
    bare = undirected.zip_with(~directed, marked).str.replace_all(
        r"[\x{ad}\x{200b}-\x{200d}\x{202d}\x{202e}\x{2060}-\x{2065}\x{206a}-\x{206f}\x{feff}\x{fff9}-\x{fffc}]", ""
    )
    return bare.str.replace_many(list(KEPT), list(KEPT.values()))


def _without_hidden_tags(texts: pl.Series) -> pl.Series:
    """Tag characters spell the flags of regions; anywhere else they are text that only a machine reads."""
    tagged = texts.str.contains(r"[\x{e0001}-\x{e007f}]").arg_true()
    if not len(tagged):
        return texts
    parts = pieces.split(texts.gather(tagged), FLAG)
    bare = pl.col("piece").str.replace_all(r"[\x{e0001}-\x{e007f}]", "")
    return texts.scatter(tagged, pieces.join(parts.with_columns(piece=pl.when("inside").then("piece").otherwise(bare))))
