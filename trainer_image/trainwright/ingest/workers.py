"""Runs a function over tasks in worker processes and gives the results in the order of the tasks.

Workers are spawned, not forked (polars has threads), use one thread each and end with their parent.
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


def run_all(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Yield function(task) for each task, in order; with one worker (or task) in this process."""
    if workers <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    pool = ProcessPoolExecutor(min(workers, len(tasks)), get_context("spawn"), initializer=_begin)
    try:
        yield from pool.map(function, tasks)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Before polars is imported: one thread for each pool."""
    environment.die_with_parent()
    os.environ.update(dict.fromkeys(environment.THREAD_VARIABLES, "1"))
