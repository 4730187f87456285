"""Search: a text → the exchanges whose vectors are nearest to its own."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from trainwright.errors import BadInput
from trainwright.index import Hit, lance
from trainwright.index.embedding import reopen
from trainwright.index.stage import ABOUT, SPLITS, STORE, read_about


def nearest(folder: Path, text: str, limit: int, *, split: str | None) -> list[Hit]:
    """The `limit` exchanges nearest to `text`, best first; only those of `split` unless it is None.

    Raises:
        BadInput: there is no index in `folder`, or the text is empty.
    """
    if not (folder / ABOUT).is_file():
        raise BadInput(f"{folder} holds no finished index", hint="run it with vectorStore.enabled: true first")
    if not text.strip():
        raise BadInput("nothing to search for", hint='give a text: trainwright search "how are you"')
    if split is not None and split not in SPLITS:
        raise BadInput(f"{split!r} is no split", hint=f"one of {', '.join(SPLITS)}")
    vector = reopen(read_about(folder)["madeWith"]).encode(pl.Series([text]))[0]
    where = f"split = '{split}'" if split is not None else None
    return [
        Hit(
            score=1.0 - found["_distance"],
            prompt=found["prompt"],
            response=found["response"],
            source=found["source"],
            split=found["split"],
            row=found["row"].hex(),
        )
        for found in lance.nearest(folder / STORE, vector, limit, where)
    ]
