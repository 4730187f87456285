"""A YAML file: records found as in a JSON document; several documents (---) follow one another.

Plain scalars stay text as it is written (No, 1.0, 2024-01-02), so that no answer turns into a boolean or a date; only
null, ~ and nothing are null. Anchors and aliases are refused: a few lines of them can stand for gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import yaml

from trainwright.errors import BadInput
from trainwright.ingest.documents import records_of
from trainwright.ingest.lines import BOM
from trainwright.ingest.readers.json_document import blocks_of
from trainwright.ingest.records import Block, Opened

_NULL = "tag:yaml.org,2002:null"


class _TextLoader(yaml.CBaseLoader):
    """Constructs texts, lists, objects and nulls."""


_TextLoader.add_implicit_resolver(_NULL, re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_TextLoader.add_constructor(_NULL, lambda loader, node: None)


def read(file: Opened) -> Iterator[Block]:
    """Yield the records of a YAML file.

    Raises:
        BadInput: it is too large, no YAML, not UTF-8, or has aliases.
    """
    data = file.stream.read(file.limits.yaml_bytes + 1).removeprefix(BOM)
    if len(data) > file.limits.yaml_bytes:
        raise BadInput(f"{file.name} is larger than {file.limits.yaml_bytes} bytes", hint="convert it to JSON Lines")
    yield from blocks_of(_records(data, file.name), has_escapes=b"\\u" in data)


def _records(data: bytes, name: str) -> Iterator[Any]:
    try:
        text = data.decode()
        if b"&" in data and b"*" in data:
            _refuse_aliases(text, name)
        documents = list(yaml.load_all(text, Loader=_TextLoader))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{name}, line {line}: not UTF-8", hint="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise BadInput(
            f"{name}{where}: no valid YAML: {getattr(error, 'problem', error)}", hint="mend that line"
        ) from error
    return chain.from_iterable(records_of(document) for document in documents if document is not None)


def _refuse_aliases(text: str, name: str) -> None:
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise BadInput(
                f"{name}: aliases (*{event.anchor}) are not read", hint="write the value itself in each place"
            )
