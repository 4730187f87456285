"""Texts → vectors by the static table: a text's vector is the sum of its words' vectors, made a unit.

In: a column of texts. Out: float32 (n, 256). Only the different words of a slice go through the tokenizer; the sums
are a sparse product, taken word after word, so that no vector depends on the texts around it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer

from trainwright.errors import BadInput
from trainwright.index.table import ABOUT, TABLE, TOKENIZER, ensure_table

Floats = npt.NDArray[np.float32]

SEPARATORS = r"[^\p{L}\p{M}\p{N}]+"
LONGEST_WORD = 64
"""Characters of a word that count: longer ones are addresses, keys or noise."""
ROWS_PER_PRODUCT = 4_096


class StaticEmbedding:
    """The table, ready to encode."""

    rows_at_once = 65_536

    def __init__(self, folder: Path | None = None) -> None:
        """Load and verify the table in `folder`; absent: the installation's own, built first if need be.

        Raises:
            BadInput: a file of the table is damaged.
        """
        from safetensors.numpy import load

        folder = folder or ensure_table()
        about = json.loads((folder / ABOUT).read_text("utf-8"))
        files = {name: (folder / name).read_bytes() for name in (TABLE, TOKENIZER)}
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != about["sha256"][name]:
                raise BadInput(
                    f"{folder / name} is damaged",
                    hint=f"delete {folder} and run `python -m trainwright.index.table`",
                )
        table = load(files[TABLE])
        self.rows: Floats = table["rows"].astype(np.float32) * table["scales"].astype(np.float32)[:, None]
        self.tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.width: int = self.rows.shape[1]
        self.name = f"static table {about['sha256'][TABLE][:12]}"
        self.digest: str = about["sha256"][TABLE]

    def encode(self, texts: pl.Series) -> Floats:
        """Unit vectors, one per text; a text without a word gets zeros."""
        words = texts.str.to_lowercase().str.replace_all(SEPARATORS, " ").str.strip_chars(" ").str.split(" ")
        counts = words.list.len().to_numpy().astype(np.int64)
        flat = words.explode(empty_as_null=False, keep_nulls=False).str.slice(0, LONGEST_WORD).rename("word").to_frame()
        numbered = flat.unique(maintain_order=True).with_columns(number=pl.int_range(pl.len(), dtype=pl.UInt32))
        numbers = flat.join(numbered, on="word", how="left", maintain_order="left")["number"].to_numpy()
        return self._sums(numbers.astype(np.int32), counts, self._word_vectors(numbered["word"].to_list()))

    def _word_vectors(self, words: list[str]) -> Floats:
        """The sum of each word's WordPiece vectors."""
        encoded = self.tokenizer.encode_batch(words, add_special_tokens=False)
        ids = np.fromiter((token for encoding in encoded for token in encoding.ids), dtype=np.int32)
        ends = np.cumsum([0] + [len(encoding.ids) for encoding in encoded])
        return _product(ids, ends, self.rows)

    def _sums(self, numbers: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], words: Floats) -> Floats:
        ends = np.concatenate([[0], np.cumsum(counts)])
        vectors = np.empty((len(counts), self.width), dtype=np.float32)
        for first in range(0, len(counts), ROWS_PER_PRODUCT):
            end = min(first + ROWS_PER_PRODUCT, len(counts))
            sums = _product(numbers[ends[first] : ends[end]], ends[first : end + 1] - ends[first], words)
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            vectors[first:end] = sums / np.maximum(lengths, 1e-9)
        return vectors


def _product(ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64], rows: Floats) -> Floats:
    """Sums of `rows[ids]` from each end to the next: a sparse matrix of ones times the rows."""
    from scipy import sparse

    ones = np.ones(len(ids), dtype=np.float32)
    bags = sparse.csr_matrix((ones, ids, ends.astype(np.int32)), shape=(len(ends) - 1, len(rows)))
    product: Floats = bags @ rows
    return product
