"""Worker processes of a stage: functions over tasks, results in the order of the tasks.

Workers are spawned, not forked (polars has threads), use one thread each and end with their parent. They are started
when there is first something to share, and serve until the stage ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from trainwright import environment
from trainwright.errors import OutOfMemory

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
        """Yield function(task) for each task, in order; the function must be one of a module.

        Raises:
            OutOfMemory: a worker was killed from outside, which is nearly always the kernel's doing.
        """
        if self._count <= 1 or (self._pool is None and len(tasks) <= 1):
            yield from map(function, tasks)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._count, get_context("spawn"), initializer=_begin)
        try:
            yield from self._pool.map(function, tasks)
        except BrokenProcessPool as error:
            raise OutOfMemory(
                f"one of {self._count} worker processes was killed, most likely for memory",
                hint="use fewer --workers; the same command goes on",
            ) from error

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Before polars is imported: one thread for each pool."""
    environment.die_with_parent()
    os.environ.update(dict.fromkeys(environment.THREAD_VARIABLES, "1"))
