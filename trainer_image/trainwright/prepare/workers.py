"""Worker processes: a pool of single-threaded Python processes that run functions of files.

They are spawned (polars deadlocks in forked ones) and end with their parent, however it ends.
Results come back in the order of the tasks, so that nothing depends on how many workers there are.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from trainwright.environment import THREAD_VARIABLES
from trainwright.errors import OutOfMemory

Task = TypeVar("Task")
Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1


class Workers:
    """Runs functions over tasks, in `count` processes or, if that is 1, in this one."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.count > 1:
            self._pool = ProcessPoolExecutor(
                self.count, multiprocessing.get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Apply `function`, which must be one of a module, to each task; results in the order of the tasks.

        Raises:
            OutOfMemory: a worker was killed from outside, which is nearly always the kernel's doing.
        """
        if self._pool is None:
            yield from map(function, tasks)
            return
        try:
            with _single_threaded():
                futures = [self._pool.submit(function, task) for task in tasks]
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise OutOfMemory(
                f"a worker of prepare was killed (of {self.count})",
                hint="give the run fewer --workers or more memory; the same command goes on",
            ) from error


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Let processes started inside have one thread per library: the workers are the parallelism."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with(parent: int) -> None:
    """Have the kernel end this worker when its parent dies; leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
