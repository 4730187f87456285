"""The stage: rows part by part → exchanges → vectors, then all of them into LanceDB; index.json says how to ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig
from trainwright.formats import rows as rows_format
from trainwright.index import lance, vectors
from trainwright.index.embedding import Embedding, embedding_of
from trainwright.index.exchanges import COLUMNS, exchanges_of
from trainwright.progress import Progress

ABOUT = "index.json"
VECTORS, STORE = "vectors", "lancedb"


def index_rows(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Embed the prepared rows' target exchanges and load them into `output`/lancedb."""
    embedding, made_with = embedding_of(config)
    parts = rows_format.part_files(inputs["prepare"].folder / "rows")
    progress = Progress("index", len(parts), "parts")
    counts: dict[str, int] = {"exchanges": 0, "parts": len(parts)}
    done = 0
    for number, part in enumerate(parts):
        exchanges = exchanges_of(pl.read_parquet(part, columns=COLUMNS))
        batches = _embedded(exchanges, embedding, progress, number)
        vectors.write_part(batches, embedding.width, output / VECTORS / part.name)
        done += exchanges.height
        progress.update(number + 1, exchanges=done)
        for split, rows in exchanges["split"].fill_null("none").value_counts().iter_rows():
            counts[split] = counts.get(split, 0) + rows
    counts["exchanges"] = done
    lance.load(output / VECTORS, output / STORE)
    write_json(output / ABOUT, {"width": embedding.width, "madeWith": made_with})
    counts["storeBytes"] = lance.size_bytes(output / STORE)
    metrics: dict[str, Any] = {"embedding": embedding.name, "digest": embedding.digest, "width": embedding.width}
    return Report(message=f"{done:,} exchanges to search in", counts=counts, metrics=metrics)


def read_about(folder: Path) -> dict[str, Any]:
    """index.json of a finished output."""
    about: dict[str, Any] = json.loads((folder / ABOUT).read_text("utf-8"))
    return about


def _embedded(exchanges: pl.DataFrame, embedding: Embedding, progress: Progress, part: int) -> Iterator[Any]:
    """Batches of exchanges with their vectors, a slice at a time."""
    for first in range(0, exchanges.height, embedding.rows_at_once):
        piece = exchanges.slice(first, embedding.rows_at_once)
        text = piece.select(pl.concat_str("prompt", "response", separator="\n").str.strip_chars_start("\n")).to_series()
        yield vectors.batch_of(piece, embedding.encode(text))
        progress.update(part, exchanges=first + piece.height)
