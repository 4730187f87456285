"""The folder of one cluster: made under the cache, gone when it is done with, even if that is noticed only later.

Whoever uses a folder holds a lock on a file in it, which the kernel drops when that process dies.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = "lock"


@contextmanager
def own_folder(within: Path) -> Iterator[Path]:
    """Give a new folder, after removing those whose owner is gone; remove it at the end."""
    within.mkdir(parents=True, exist_ok=True)
    with (within / LOCK).open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        for left in filter(Path.is_dir, within.iterdir()):
            _remove_if_left(left)
        folder = Path(tempfile.mkdtemp(prefix="", dir=within))
        lock = (folder / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _remove_if_left(folder: Path) -> None:
    lock: IO[str]
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(folder)
