"""Spread sequences over the rows of a batch, so that rows are narrow and hardly padded.

Attention is computed over whole rows and its cost grows with their width, although each sequence sees only itself.
Packs decide what is learnt together; how their sequences lie in the rows of a batch changes only the time it takes.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

LARGEST_PADDING = 0.03
"""Share of a batch that may be padding for the sake of narrower rows."""


def spread(lengths: Sequence[int]) -> list[list[int]]:
    """Say which sequences lie in which row: the most rows, hence the narrowest, whose padding is small.

    Returns the numbers of the sequences in each row; every sequence is in exactly one. Equal lengths give equal rows.
    """
    total, longest = sum(lengths), max(lengths)
    best = [list(range(len(lengths)))]
    for count in range(2, total // longest + 1):
        rows, width = _balanced(lengths, count)
        if count * width <= (1 + LARGEST_PADDING) * total:
            best = rows
    return best


def _balanced(lengths: Sequence[int], count: int) -> tuple[list[list[int]], int]:
    """Fill `count` rows, each sequence, longest first, into the shortest row (Graham 1969); also the longest row."""
    rows: list[list[int]] = [[] for _ in range(count)]
    heap = [(0, row) for row in range(count)]
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        filled, row = heapq.heappop(heap)
        rows[row].append(number)
        heapq.heappush(heap, (filled + lengths[number], row))
    return rows, max(filled for filled, _ in heap)
