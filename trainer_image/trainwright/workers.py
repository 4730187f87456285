"""Worker processes of a stage: functions over tasks, results in the order of the tasks.

Of `count` workers this process is one; the others are spawned, not forked (polars has threads), use one thread each and
end with their parent. They are started when there is first something to share, and serve until the stage ends.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from trainwright import environment
from trainwright.errors import OutOfMemory

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """At most `count` processes, this one among them."""

    def __init__(self, count: int) -> None:
        self._others = max(count, 1) - 1
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield function(task) for each task, in order; the function must be one of a module.

        Raises:
            OutOfMemory: a worker was killed from outside, which is nearly always the kernel's doing.
        """
        if not self._others or len(tasks) < 2:
            yield from map(function, tasks)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._others, get_context("spawn"), initializer=_begin)
        try:
            yield from self._shared(self._pool, function, tasks)
        except BrokenProcessPool as error:
            raise OutOfMemory(
                f"one of {self._others + 1} worker processes was killed, most likely for memory",
                hint="use fewer --workers; the same command goes on",
            ) from error

    def _shared(
        self, pool: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[Result]:
        """Hand each other worker a task, and take the next one here while they are all at work."""
        waiting = deque(enumerate(tasks))
        running: dict[Future[Result], int] = {}
        results: dict[int, Result] = {}
        for wanted in range(len(tasks)):
            while wanted not in results:
                while waiting and len(running) < self._others:
                    number, task = waiting.popleft()
                    running[pool.submit(function, task)] = number
                if waiting:
                    number, task = waiting.popleft()
                    results[number] = function(task)
                    done = {future for future in running if future.done()}
                else:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                results |= {running.pop(future): future.result() for future in done}
            yield results.pop(wanted)

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Before polars is imported: one thread for each pool."""
    environment.die_with_parent()
    os.environ.update(dict.fromkeys(environment.THREAD_VARIABLES, "1"))
