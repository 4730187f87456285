"""Which embedding a run uses, and what both kinds have in common.

In: `vectorStore.embedding`, or what an index says it was made with. Out: an `Embedding` that turns texts into unit
vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright import storage
from trainwright.contract import RunConfig
from trainwright.environment import cache_folder
from trainwright.errors import BadInput


class Embedding(Protocol):
    """Texts → unit vectors."""

    width: int
    name: str
    """For people."""
    digest: str
    """Changes whenever the vectors may."""
    rows_at_once: int
    """Texts of one call to `encode` that keep memory small and speed high."""

    def encode(self, texts: pl.Series) -> npt.NDArray[np.float32]:
        """Vectors of length one, one per text, whatever texts are beside it."""
        ...


def embedding_of(config: RunConfig) -> tuple[Embedding, dict[str, str]]:
    """The embedding of the run, and how `reopen` finds it again."""
    uri = config.spec.vector_store.embedding
    if uri is None:
        from trainwright.index.static import StaticEmbedding

        table = StaticEmbedding()
        return table, {"kind": "static", "digest": table.digest}
    from trainwright.index.transformer import TransformerEmbedding

    fetched = cache_folder() / "embedding" / hashlib.sha256(uri.encode()).hexdigest()[:16]
    folder = storage.local_folder(uri, config, fetched).resolve()
    model = TransformerEmbedding(folder, name=uri)
    return model, {"kind": "folder", "folder": str(folder), "digest": model.digest}


def reopen(made_with: Mapping[str, str]) -> Embedding:
    """The embedding an index was made with.

    Raises:
        BadInput: it is gone or another one by now; vectors of two embeddings cannot be compared.
    """
    if made_with["kind"] == "static":
        from trainwright.index.static import StaticEmbedding

        found: Embedding = StaticEmbedding()
    else:
        from trainwright.index.transformer import TransformerEmbedding

        found = TransformerEmbedding(Path(made_with["folder"]), name=made_with["folder"])
    if found.digest != made_with["digest"]:
        raise BadInput(
            f"the index was made with another embedding than {found.name}",
            hint="make it again: `trainwright run FILE --fresh index`",
        )
    return found
