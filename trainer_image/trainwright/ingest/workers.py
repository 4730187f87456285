"""Runs functions over tasks in worker processes and gives the results in the order of the tasks.

Workers are spawned, not forked (polars has threads), use one thread each and end with their parent. They are started
when there is first something to share, and serve until the stage ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from trainwright import environment

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """At most `count` processes; one means: this process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield function(task) for each task, in order."""
        if self._count <= 1 or len(tasks) <= 1:
            return map(function, tasks)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._count, get_context("spawn"), initializer=_begin)
        return self._pool.map(function, tasks)

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Before polars is imported: one thread for each pool."""
    environment.die_with_parent()
    os.environ.update(dict.fromkeys(environment.THREAD_VARIABLES, "1"))
