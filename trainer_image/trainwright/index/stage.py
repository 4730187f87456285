"""The stage: rows part by part → exchanges → vectors, then all of them into LanceDB; index.json says how to ask it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trainwright.artifacts import Inputs, write_json
from trainwright.contract import Report, RunConfig
from trainwright.formats import rows as rows_format
from trainwright.index import lance, vectors
from trainwright.index.embedding import Embedding, embedding_of
from trainwright.index.exchanges import COLUMNS, exchanges_of
from trainwright.progress import Progress

ABOUT = "index.json"
VECTORS, STORE = "vectors", "lancedb"
SPLITS = ("train", "validation", "test")
ROWS = "rows"
ROWS_AT_ONCE = 65_536


def index_rows(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Embed the prepared rows' target exchanges and load them into `output`/lancedb."""
    embedding, made_with = embedding_of(config)
    parts = rows_format.part_files(inputs["prepare"].folder / "rows")
    counts = Counter[str]()
    progress = Progress("index", sum(pq.read_metadata(part).num_rows for part in parts), "rows")
    for part in parts:
        batches = _embedded(part, embedding, counts, progress)
        vectors.write_part(batches, embedding.width, output / VECTORS / part.name)
    lance.load(output / VECTORS, output / STORE)
    write_json(output / ABOUT, {"width": embedding.width, "madeWith": made_with})
    splits = {split: counts[split] for split in SPLITS if counts[split]}
    return Report(
        message=f"{counts.total() - counts[ROWS]:,} exchanges to search in",
        counts={"exchanges": counts.total() - counts[ROWS], "parts": len(parts)} | splits,
        metrics={"embedding": embedding.name, "digest": embedding.digest, "width": embedding.width},
    )


def read_about(folder: Path) -> dict[str, Any]:
    """index.json of a finished output."""
    about: dict[str, Any] = json.loads((folder / ABOUT).read_text("utf-8"))
    return about


def _embedded(part: Path, embedding: Embedding, counts: Counter[str], progress: Progress) -> Iterator[pa.RecordBatch]:
    """Batches of the part's exchanges with their vectors; memory is that of one batch. Counts rows and splits."""
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=COLUMNS):
            rows = cast("pl.DataFrame", pl.from_arrow(batch))
            exchanges = exchanges_of(rows)
            for first in range(0, exchanges.height, embedding.rows_at_once):
                piece = exchanges.slice(first, embedding.rows_at_once)
                yield vectors.batch_of(piece, embedding.encode(_text(piece)))
            counts.update(exchanges["split"].to_list())
            counts[ROWS] += rows.height
            progress.update(counts[ROWS], exchanges=counts.total() - counts[ROWS])


def _text(exchanges: pl.DataFrame) -> pl.Series:
    """What is embedded: prompt and response together."""
    return exchanges.select(pl.concat_str("prompt", "response", separator="\n")).to_series()
