"""Packing: sequences of different lengths into rows of a fixed length, each sequence whole.

Sequences longer than an eighth of a pack are placed first, longest first, then the short ones in the order of their
hash, each into the fullest pack that it still fits into: under 1 % of the room is lost, and most packs hold a mixture
of rows instead of rows of one length (docs/decisions/0041).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LONG = 8


def pack(
    lengths: npt.NDArray[np.int32], order: npt.NDArray[np.float64], capacity: int, *, together: bool = True
) -> list[list[int]]:
    """Put sequences into packs of at most `capacity` tokens; returns the numbers of the sequences in each.

    `order` is a number in [0, 1) for each sequence that decides ties and the order of short ones. Without `together`
    every sequence is a pack of its own.
    """
    long = lengths > capacity // LONG
    placed = np.lexsort((order, np.where(long, -lengths, 0), ~long))
    if not together:
        return [[int(number)] for number in placed]
    packs: list[list[int]] = []
    open_packs: list[list[int]] = [[] for _ in range(capacity + 1)]
    room = 0
    for number in placed.tolist():
        length = int(lengths[number])
        fitting = room >> length
        if fitting:
            free = length + (fitting & -fitting).bit_length() - 1
            chosen = open_packs[free].pop()
            if not open_packs[free]:
                room ^= 1 << free
            packs[chosen].append(number)
        else:
            free, chosen = capacity, len(packs)
            packs.append([number])
        if left := free - length:
            open_packs[left].append(chosen)
            room |= 1 << left
    return packs
