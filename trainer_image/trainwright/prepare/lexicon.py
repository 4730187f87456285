"""Lists of words and phrases, found whole: `cat` is in "the Cat!" but not in "category".

A quick search for the letters anywhere (Aho–Corasick) leaves few texts to the exact one with word boundaries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts that put no space between words: there, letters are found anywhere."""


class Lexicon:
    """Words to find, whatever their case. A `*` at the end of a word stands for any further letters."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = sorted(
            {word.strip().lower() for word in words if word.strip()}, key=lambda word: (-len(word), word)
        )
        letters = [max(word.rstrip("*").split(), key=len) for word in self.words]
        self._letters = letters + [word.upper() for word in letters if not word.isascii()]
        self._pattern = "(?i)(?:" + "|".join(_pattern_of(word) for word in self.words) + ")"

    def candidates(self, texts: pl.Series) -> pl.Series:
        """Places of the texts that hold the letters of one of the words."""
        if not self.words:
            return pl.Series([], dtype=pl.UInt32)
        return texts.str.contains_any(self._letters, ascii_case_insensitive=True).fill_null(False).arg_true()

    def places(self, texts: pl.Series) -> pl.Series:
        """Places of the texts that hold one of the words."""
        maybe = self.candidates(texts)
        return maybe.filter(texts.gather(maybe).str.contains(self._pattern))

    def masked(self, texts: pl.Series, mask: str = "****") -> pl.Series:
        """The texts with a mask instead of each of the words."""
        return texts.str.replace_all(self._pattern, mask)


def _pattern_of(word: str) -> str:
    open_end = word.endswith("*")
    word = word.rstrip("*")
    letters = r"\s+".join(re.escape(part) for part in word.split())
    if UNSPACED.search(word):
        return letters
    start = r"\b" if word[0].isalnum() else ""
    end = r"\w*" if open_end else (r"\b" if word[-1].isalnum() else "")
    return f"{start}{letters}{end}"
