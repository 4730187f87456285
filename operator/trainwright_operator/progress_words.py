"""How far a run is and how long it still takes, as people say it. Pure.

The share of each stage in a whole run is that of a fine-tuning by plan: nine parts in ten are training. Within a
stage it is done of total; before training the end of it is not foreseen, so that no time is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright_operator.world import Told

SHARES = {"weights": 1, "ingest": 2, "prepare": 3, "tokenize": 2, "train": 85, "evaluate": 4, "export": 2, "report": 1}
DONE = ("Succeeded", "Reused", "Skipped")


def percent(stages: Mapping[str, Mapping[str, Any]]) -> int:
    """Percent of the whole run, from what its stages say; index works beside and counts nothing."""
    of = {name: SHARES[name] for name in stages if name in SHARES}
    whole = sum(of.values()) or 1
    return int(100 * sum(of[name] * _part(stages[name]) for name in of) / whole)


def _part(entry: Mapping[str, Any]) -> float:
    if entry.get("state") in DONE:
        return 1.0
    done, total = entry.get("done"), entry.get("total")
    return min(1.0, done / total) if entry.get("state") == "Running" and done and total else 0.0


def display(share: int) -> str:
    """Percent as the column shows it."""
    return f"{share}%"


def eta(last: Told) -> str | None:
    """Time left while training, from the speed since its start; None where nothing tells it."""
    if last.progress.stage != "train" or not last.progress.done or not last.progress.total:
        return None
    seconds = last.progress.figures.get("secondsPerStep")
    if not isinstance(seconds, int | float):
        return None
    return duration(seconds * (last.progress.total - last.progress.done))


def duration(seconds: float) -> str:
    """Seconds as people say them: 4h12m, 3m20s, 45s."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}h{minutes:02d}m" if hours < 100 else f"{hours}h"
    return f"{minutes}m{whole % 60:02d}s" if minutes else f"{whole}s"
