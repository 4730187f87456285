"""LanceDB: the one module that knows it. A store is loaded whole, in one commit, and appears under its name at once.

A writer fills a folder of its own beside the store and renames it when its rows are counted, so the store has one
version, few fragments and nothing left over, and a killed writer leaves only a folder that the next one clears.
Writers of one store wait for each other; the second finds the store complete and writes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainwright.errors import RetryLater
from trainwright.index import vectors

TABLE = "exchanges"
FINGERPRINT = b"trainwright.fingerprint"
INDEX_FROM_ROWS = 500_000
"""Below it all vectors are compared, 0.6 µs of CPU each; above it an approximate index pays its memory and error."""
REFINED = 10
"""With an approximate index, so many times the wanted rows are compared exactly."""
WAIT_S = 600.0


def load(folder: Path, store: Path) -> bool:
    """Make `store` hold exactly the vectors in `folder`; False if it does already and nothing was written.

    Raises:
        RetryLater: another writer holds the store for ten minutes, or rows went missing on the way.
    """
    fingerprint = fingerprint_of(folder)
    with _alone(store):
        _sweep(store)
        if _holds(store, fingerprint, vectors.count(folder)):
            return False
        temporary = Path(tempfile.mkdtemp(prefix=f".{store.name}-", dir=store.parent))
        _fill(temporary, folder, fingerprint)
        if not _holds(temporary, fingerprint, vectors.count(folder)):
            raise RetryLater(f"{store} holds fewer rows than were written", hint="start the run again")
        temporary.chmod(0o755)
        if store.exists():
            store.rename(temporary.with_name(temporary.name + "-old"))
        temporary.rename(store)
        _sweep(store)
    return True


def fingerprint_of(folder: Path) -> str:
    """SHA-256 over the ids, and thereby the number and order, of all exchanges in `folder`, and the first vectors."""
    digest = hashlib.sha256()
    for batch in vectors.read_parts(folder):
        digest.update(b"".join(batch.column("id").to_pylist()))
        digest.update(batch.column("vector").slice(0, 1).values.to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()


def nearest(store: Path, vector: npt.NDArray[np.float32], limit: int, where: str | None) -> list[dict[str, Any]]:
    """The rows nearest to `vector` by cosine, nearest first, with `_distance` = 1 - cosine."""
    table = _open(store)
    query = table.search(vector).distance_type("cosine").limit(limit)
    if table.list_indices():
        query = query.refine_factor(REFINED)
    if where is not None:
        query = query.where(where, prefilter=True)
    columns = ["id", "row", "turn", "prompt", "response", "source", "split", "_distance"]
    rows: list[dict[str, Any]] = query.select(columns).to_arrow().to_pylist()
    return rows


def _fill(store: Path, folder: Path, fingerprint: str) -> None:
    import lancedb
    from lancedb.index import IvfPq

    schema = vectors.schema_of(vectors.width_of(folder)).with_metadata({FINGERPRINT: fingerprint.encode()})
    batches = (batch.replace_schema_metadata(schema.metadata) for batch in vectors.read_parts(folder))
    table = lancedb.connect(store).create_table(TABLE, data=pa.RecordBatchReader.from_batches(schema, batches))
    if vectors.count(folder) >= INDEX_FROM_ROWS:
        quantised = IvfPq(distance_type="cosine", num_sub_vectors=vectors.width_of(folder) // 8)
        table.create_index("vector", config=quantised)


def _open(store: Path) -> Any:
    import lancedb

    return lancedb.connect(store).open_table(TABLE)


def _holds(store: Path, fingerprint: str, rows: int) -> bool:
    """Whether the store's own count and fingerprint are these."""
    if not (store / f"{TABLE}.lance").exists():
        return False
    table = _open(store)
    stated = (table.schema.metadata or {}).get(FINGERPRINT)
    return bool(stated == fingerprint.encode() and table.count_rows() == rows)


@contextlib.contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Hold the store's lock; the kernel frees it when the process ends, however it ends."""
    store.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + WAIT_S
    with store.with_name(f".{store.name}.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise RetryLater(
                        f"another process has been loading {store} for ten minutes",
                        hint="wait until it ends, or stop it, and start the run again",
                    ) from error
                time.sleep(random.uniform(0.05, 0.5))
        yield


def _sweep(store: Path) -> None:
    """Remove what killed writers left; only under the lock."""
    for left in store.parent.glob(f".{store.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    descriptor = os.open(store.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
