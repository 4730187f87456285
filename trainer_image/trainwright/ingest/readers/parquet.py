"""Parquet: row groups are read in small batches, and only the columns that are wanted.

Arrow pads the objects of a column to the same members; those that are null are taken out again, so that a tool keeps
only the parameters that it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainwright.errors import BadInput
from trainwright.ingest.records import Block, Opened

BATCH_ROWS = 4096


def read(file: Opened) -> Iterator[Block]:
    """Yield the records of a Parquet file.

    Raises:
        BadInput: it is no Parquet file, or damaged.
    """
    number = 0
    try:
        parquet = pq.ParquetFile(file.stream)
        names = [name for name in parquet.schema_arrow.names if _is_wanted(name, file.wanted)]
        for batch in parquet.iter_batches(BATCH_ROWS, columns=names):
            count = batch.num_rows
            columns = [_values(column) for column in batch.columns]
            records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or [{}] * count
            yield Block(records=records, numbers=list(range(number, number + count)), checked=count)
            number += count
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise BadInput(
            f"{file.name} cannot be read as Parquet after {number} rows: {reason}",
            hint="it may be truncated; copy or download it again",
        ) from error


def _is_wanted(name: str, wanted: frozenset[str] | None) -> bool:
    return wanted is None or name in wanted or any(other.startswith(name + ".") for other in wanted)


def _values(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_nested(column.type):
        return [_without_padding(value) for value in values]
    return values


def _without_padding(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_padding(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_padding(member) for member in value]
    return value
