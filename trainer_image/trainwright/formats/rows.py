"""The canonical row: one conversation, as Parquet in parts sorted by id.

Columns of `rows/part-NNNNN.parquet` (ingest writes them; prepare fills lang, topic and split, and may set `train` and
`flags`):

id          binary(16)  xxh3-128 of source name, file path in the source and record number
source      text        name of the source (contract.source_names)
record      uint64      number of the record in its file, from 0
group       text?       rows of one group never fall into different splits; absent: the row is its own group
contentKey  binary(16)  hash of the normalised text: what review decisions are keyed by
messages    list of {role: system|user|assistant|tool, content: text?, train: bool, flags: uint32,
            name: text?, toolCalls: JSON text?, toolCallId: text?}
tools       JSON text?  tool descriptions, never parsed into columns
lang        text?       ISO 639-1 code, set by prepare
topic       uint16?     topic number, set by prepare
rating      float32?    quality; the better of two duplicates stays
weight      float32     of the row beside its source's weight; 1 unless balance lowers it
synthetic   text?       method, when a model wrote the row
origin      binary(16)? id of the row it was made from
split       text?       train | validation | test, set by prepare
metadata    JSON text?  the columns under `keep`

`train` of a message says that its tokens are targets; only assistant turns are (and the one turn of plain text: role
assistant without a user turn before it).
An exchange is an assistant turn with the turn before it: the unit of counts, duplicates and the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

MESSAGE = pl.Struct(
    {
        "role": pl.String,
        "content": pl.String,
        "train": pl.Boolean,
        "flags": pl.UInt32,
        "name": pl.String,
        "toolCalls": pl.String,
        "toolCallId": pl.String,
    }
)

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.Binary,
    "source": pl.String,
    "record": pl.UInt64,
    "group": pl.String,
    "contentKey": pl.Binary,
    "messages": pl.List(MESSAGE),
    "tools": pl.String,
    "lang": pl.String,
    "topic": pl.UInt16,
    "rating": pl.Float32,
    "weight": pl.Float32,
    "synthetic": pl.String,
    "origin": pl.Binary,
    "split": pl.String,
    "metadata": pl.String,
}

FLAG_OFFENSIVE = 1
FLAG_PERSONAL_DATA = 2
FLAG_DUPLICATE = 4
FLAG_NOT_SCORED = 8
"""On an evaluation target: also in the training rows, so it is not scored."""


def part_files(folder: Path) -> list[Path]:
    """The parts of a rows folder in order."""
    return sorted(folder.glob("part-*.parquet"))


def write_part(rows: pl.DataFrame, folder: Path, number: int) -> Path:
    """Write one part with the canonical columns, in order; the name appears only when the file is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{number:05d}.parquet"
    temporary = path.with_suffix(".tmp")
    rows.select([pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()]).write_parquet(
        temporary, compression="zstd", compression_level=1, row_group_size=16_384
    )
    temporary.replace(path)
    return path


def read_parts(folder: Path, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """Each part as a frame, in order: memory is that of one part."""
    for path in part_files(folder):
        yield pl.read_parquet(path, columns=columns)
