"""The static table as an embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from trainwright.errors import BadInput
from trainwright.index.static import StaticEmbedding

from tests.toy_table import WORDS

TEXTS = pl.Series([" ".join(WORDS[n : n + 5]) for n in range(12)] + ["hello", "", "cat " * 400])


def test_vector_does_not_depend_on_the_texts_around_it(table: Path) -> None:
    embedding = StaticEmbedding(table)
    together = embedding.encode(TEXTS)
    alone = np.concatenate([embedding.encode(TEXTS.slice(n, 1)) for n in range(len(TEXTS))])
    assert np.array_equal(together, alone)


def test_vectors_have_length_one_and_texts_without_words_none(table: Path) -> None:
    vectors = StaticEmbedding(table).encode(pl.Series(["hello you", "?!", ""]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 0], abs=1e-6)


def test_case_and_punctuation_do_not_matter(table: Path) -> None:
    one, other = StaticEmbedding(table).encode(pl.Series(["Hello, how are YOU?", "hello how are you"]))
    assert one == pytest.approx(other)


def test_damaged_table_is_refused_with_what_to_delete(table: Path) -> None:
    content = bytearray((table / "table.safetensors").read_bytes())
    content[-1] ^= 1
    (table / "table.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match="is damaged") as told:
        StaticEmbedding(table)
    assert str(table) in told.value.hint
