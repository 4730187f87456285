"""Cutting a conversation that is too long for one sequence into windows, at the borders of exchanges.

A border lies before a user or system turn that follows an answer, so a call is never parted from its result. Every
window begins with the leading system turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def exchanges(roles: Sequence[str]) -> list[range]:
    """The turns of each exchange, without the leading system turns."""
    first = leading_system(roles)
    starts = [first] + [
        turn
        for turn in range(first + 1, len(roles))
        if roles[turn] in ("user", "system") and roles[turn - 1] in ("assistant", "tool")
    ]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(roles)], strict=True) if end > start]


def leading_system(roles: Sequence[str]) -> int:
    """How many system turns a conversation begins with."""
    return next((turn for turn, role in enumerate(roles) if role != "system"), len(roles))


def windows(count: int, fits: Callable[[int, int], bool]) -> list[range]:
    """Cut `count` exchanges into windows as long as `fits(first, end)` allows; a window of one may not fit."""
    found: list[range] = []
    start = 0
    while start < count:
        end = start + 1
        while end < count and fits(start, end + 1):
            end += 1
        found.append(range(start, end))
        start = end
    return found
