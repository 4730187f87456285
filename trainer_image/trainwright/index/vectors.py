"""`vectors/part-NNNNN.parquet`: the exchanges of one part of rows with their vectors, written slice by slice.

Columns: id binary(16), row binary(16), turn uint32, prompt, response (embedded together), source, split,
vector float16[width].
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = pa.dictionary(pa.int32(), pa.string())


def schema_of(width: int) -> pa.Schema:
    """The columns of a part whose vectors have `width` values."""
    return pa.schema(
        [
            pa.field("id", pa.binary(16), nullable=False),
            pa.field("row", pa.binary(16), nullable=False),
            pa.field("turn", pa.uint32(), nullable=False),
            pa.field("prompt", pa.string(), nullable=False),
            pa.field("response", pa.string(), nullable=False),
            pa.field("source", WORDS),
            pa.field("split", WORDS),
            pa.field("vector", pa.list_(pa.float16(), width), nullable=False),
        ]
    )


def batch_of(exchanges: pl.DataFrame, vectors: npt.NDArray[np.float32]) -> pa.RecordBatch:
    """Exchanges and their vectors as one batch of the schema."""
    schema = schema_of(vectors.shape[1])
    plain = exchanges.select(schema.names[:-1]).to_arrow()
    values = pa.array(vectors.astype(np.float16).ravel())
    columns = [plain.column(field.name).combine_chunks().cast(field.type) for field in list(schema)[:-1]]
    columns.append(pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]))
    return pa.record_batch(columns, schema=schema)


def write_part(batches: Iterator[pa.RecordBatch], width: int, path: Path) -> None:
    """Write one part; the name appears only when the file is whole. Vectors stay as they are: they do not compress."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    compression = dict.fromkeys(schema_of(width).names[:-1], "zstd") | {"vector.list.element": "none"}
    with pq.ParquetWriter(
        temporary, schema_of(width), compression=compression, use_dictionary=["source", "split"]
    ) as file:
        for batch in batches:
            file.write_batch(batch)
    temporary.replace(path)


def read_parts(folder: Path) -> Iterator[pa.RecordBatch]:
    """All batches of all parts, in order: memory is that of one batch."""
    for path in sorted(folder.glob("part-*.parquet")):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=8_192)


def count(folder: Path) -> int:
    """Exchanges in all parts, without reading them."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("part-*.parquet"))


def width_of(folder: Path) -> int:
    """Values of a vector."""
    schema = pq.read_schema(next(folder.glob("part-*.parquet")))
    return int(schema.field("vector").type.list_size)
