"""Spill files: Arrow tables that reading leaves in the stage's folder until partitions are cut from them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa


class SpillWriter:
    """Appends tables to one Arrow IPC file, which exists only if there was one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.RecordBatchFileWriter | None = None

    def __enter__(self) -> SpillWriter:
        return self

    def write(self, table: pa.Table) -> None:
        """Append a table; all have the same schema."""
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), table.schema)
        self._writer.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
