"""Emoji: whole sequences go, so that no joiner, skin tone, variation selector or tag is left of one."""

from __future__ import annotations

import polars as pl

PICTURE = r"[\p{Extended_Pictographic}--[©®™‼⁉ℹ\x{2194}-\x{21aa}Ⓜ〰〽㊗㊙]]"
"""Pictures, without the signs that are mostly written as text."""
DRESSED = rf"{PICTURE}(?:\x{{fe0f}}|[\x{{1f3fb}}-\x{{1f3ff}}])*"
SEQUENCE = (
    r"(?:\x{1f3f4}[\x{e0020}-\x{e007e}]+\x{e007f}"
    r"|[\x{1f1e6}-\x{1f1ff}]{1,2}"
    r"|[0-9#*]\x{fe0f}?\x{20e3}"
    rf"|{DRESSED}(?:\x{{200d}}{DRESSED})*"
    r"|[\x{1f3fb}-\x{1f3ff}\x{fe0f}\x{20e3}])"
)


def needs(text: pl.Expr) -> pl.Expr:
    """Texts with an emoji."""
    return text.str.contains(SEQUENCE)


def fix(texts: pl.Series) -> pl.Series:
    """The texts without emoji; a space stays where one stood between words."""
    return (
        texts.str.replace_all(rf" *(?:{SEQUENCE} *)+([.,!?;:])", "${1}")
        .str.replace_all(rf" *(?:{SEQUENCE} *)+", " ")
        .str.replace_all(r"(^|\n) | (\n|$)", "${1}${2}")
    )
