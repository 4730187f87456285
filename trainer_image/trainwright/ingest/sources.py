"""Lists what a source's URI stands for: its files, the format of each, and what was passed over.

A file that was named is read whatever it is called if the source says its format; in a folder or a repository only
files of a known format are read. Of a data set on the hub whose files say `train`, only those are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainwright.api.data import Source
from trainwright.contract import RunConfig
from trainwright.errors import BadInput
from trainwright.ingest.readers import format_of
from trainwright.storage import File, list_files

FORMATS = ".jsonl, .json, .csv, .tsv, .parquet, .txt, .yaml, each also with .gz or .zst"
_TRAIN = re.compile(r"(^|[/_.-])train([/_.-]|$)")
_DATA_SET = re.compile(r"hf://datasets/[^/]+/[^/]+/?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The files of a source in order, each with its format, and how many others were passed over."""

    files: tuple[tuple[File, str], ...]
    passed_over: int

    @property
    def size_bytes(self) -> int:
        """Bytes of all files as they are stored."""
        return sum(file.size_bytes for file, _ in self.files)


def list_source(source: Source, config: RunConfig) -> Listed:
    """The files of a source.

    Raises:
        BadInput: none matches, or none has a format that is known.
    """
    found = list_files(source.uri, config)
    chosen = [(file, source.format or format_of(file.name)) for file in found]
    known = tuple((file, name) for file, name in chosen if name is not None)
    if _DATA_SET.match(source.uri):
        known = tuple(pair for pair in known if _TRAIN.search(pair[0].name)) or known
    if not known:
        names = ", ".join(file.name for file in found[:3])
        raise BadInput(f"{source.uri}: no format is known for {names}", hint=f"set format, or name the files {FORMATS}")
    return Listed(files=known, passed_over=len(found) - len(known))
