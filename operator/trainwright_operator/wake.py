"""Who is looked at when: one task per run at a time, woken by events and by time, slower and slower after errors."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from trainwright_operator.errors import Conflict, Exists
from trainwright_operator.store import Key

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
log = logging.getLogger(__name__)


class Waker:
    """Runs `look(key)` for every key that is woken, never twice at once for one key.

    `look` returns after how many seconds it wants to be called again, or None. What wakes a key while it is looked at
    makes it be looked at once more afterwards.
    """

    def __init__(self, look: Callable[[Key], Awaitable[float | None]], *, at_a_time: int = 16) -> None:
        self._look = look
        self._places = asyncio.Semaphore(at_a_time)
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self.last_look = time.monotonic()

    def wake(self, key: Key) -> None:
        """Have a run looked at, now or as soon as the look under way is over."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._tasks:
            self._again.add(key)
            return
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._over(key))

    async def close(self) -> None:
        """Stop looking."""
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, key: Key) -> None:
        del self._tasks[key]
        if key in self._again:
            self._again.discard(key)
            self.wake(key)

    async def _run(self, key: Key) -> None:
        async with self._places:
            pause: float | None
            try:
                pause = await self._look(key)
                self._failures.pop(key, None)
            except Conflict:
                pause = 0.2  # the watch brings the newer version in a moment
            except Exists:
                pause = 1.0  # a child of an earlier run of this name is still going
            except Exception as error:
                count = self._failures[key] = self._failures.get(key, 0) + 1
                pause = min(FIRST_PAUSE_S * 2 ** (count - 1), LONGEST_PAUSE_S)
                log.warning("%s/%s: %s; again in %.0f s", *key, error, pause, exc_info=count == 1)
            self.last_look = time.monotonic()
        if pause is not None and key not in self._again:
            self._timers[key] = asyncio.get_running_loop().call_later(pause, self.wake, key)
