"""Progress of a stage as JSON lines on stderr; the launcher turns them into a live view, pods leave them in their logs.

A line is {"time", "stage", "rank", "level", "message"} for the log, has "done", "total" and "figures" for progress, or
is a rank's sign of life: {"time", "stage", "rank", "heartbeat": step}. No row text ever goes into them.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any, ClassVar

INTERVAL_S = 0.5
HEARTBEAT = "heartbeat"
HEARTBEAT_S = 5.0


class JsonLines(logging.Handler):
    """Writes log records as one JSON line each, ASCII only, so that no character in them can end a line early."""

    def __init__(self, stage: str, rank: int) -> None:
        super().__init__()
        self.stage, self.rank = stage, rank

    def emit(self, record: logging.LogRecord) -> None:
        write_line(stage=self.stage, rank=self.rank, level=record.levelname, message=record.getMessage())


def write_line(**fields: Any) -> None:
    """Write one JSON line to stderr, with the time in front."""
    sys.stderr.write(json.dumps({"time": round(time.time(), 3)} | fields) + "\n")
    sys.stderr.flush()


class Progress:
    """Reports how far a stage is: `done` of `total` units, with figures for people.

    Lines are at least half a second apart; the last one (done == total) is always written.
    """

    def __init__(self, stage: str, total: int, unit: str) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self._last = 0.0

    def update(self, done: int, **figures: float | int | str) -> None:
        """Say that `done` units are finished; figures are shown beside the bar (loss=2.31, rows_per_s=…)."""
        now = time.monotonic()
        if done < self.total and now - self._last < INTERVAL_S:
            return
        self._last = now
        write_line(stage=self.stage, done=done, total=self.total, unit=self.unit, figures=figures)


class Heart(threading.Thread):
    """Writes a line at once and then every five seconds, as long as this process lives and runs."""

    step: ClassVar[int | None] = None
    """The step that this rank has done last; the loop sets it."""

    def __init__(self, stage: str, rank: int) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.stage, self.rank = stage, rank

    def run(self) -> None:
        """Beat."""
        while True:
            write_line(stage=self.stage, rank=self.rank, heartbeat=Heart.step)
            time.sleep(HEARTBEAT_S)
