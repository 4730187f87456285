"""One module per file format; each gives blocks of records.

`reader_of(format)` finds it; formats are told from suffixes by `format_of`.
"""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath
from typing import cast

from trainwright.ingest.records import Reader
from trainwright.ingest.streams import plain_name

BY_LINE = frozenset({"jsonl", "csv", "text"})
"""Formats whose record numbers are line numbers."""
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
    ".text": "text",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_MODULES = {
    "jsonl": "jsonl",
    "json": "json_document",
    "csv": "csv_table",
    "parquet": "parquet",
    "text": "text",
    "yaml": "yaml_document",
}


def format_of(name: str) -> str | None:
    """The format that a file's suffix stands for (.gz and .zst aside); None if it is none of ours."""
    return _SUFFIXES.get(PurePosixPath(plain_name(name)).suffix.lower())


def reader_of(format_name: str) -> Reader:
    """The reader of a format; its libraries are imported only now."""
    module = importlib.import_module(f"trainwright.ingest.readers.{_MODULES[format_name]}")
    return cast("Reader", module.read)
