"""Words of a text in any script, for BLEU and ROUGE.

The published tokenisers drop or join what is not Latin: equal Chinese or Persian answers score 0. Here a word is a
run of letters, marks and digits of any script, and in scripts that are written without spaces each character (with
its marks) is a word. The rule follows the script of each character, so it needs no language of the row and mixed text
works.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import regex

SPACELESS = "Han Hiragana Katakana Bopomofo Thai Lao Khmer Myanmar Tibetan"
_SCRIPTS = "".join(rf"\p{{{script}}}" for script in SPACELESS.split())
_CHARACTER = regex.compile(rf"[{_SCRIPTS}]\p{{M}}*")
_WORD = regex.compile(rf"(?V1)[{_SCRIPTS}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{_SCRIPTS}]]+")


def folded_words(text: str) -> list[str]:
    """The words for ROUGE: without case and punctuation.

    For ASCII these are the tokens of rouge_score without its stemmer. A text without any word (only signs or emoji)
    falls apart into its characters, so that it still equals itself.
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return _WORD.findall(folded) or [character for character in folded if not character.isspace()]


def spaced_words(text: str) -> str:
    """The words for BLEU, joined by spaces: mteval's 13a with punctuation and case kept, as sacrebleu's default has it.

    Characters of scripts without spaces are set apart first; without them the result is exactly that of 13a.
    """
    apart = _CHARACTER.sub(r" \g<0> ", unicodedata.normalize("NFC", text))
    return str(_tokenizer_13a()(apart)).strip()


@cache
def _tokenizer_13a() -> Any:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()  # type: ignore[no-untyped-call]
