"""Packs become tensors: rows of tokens whose positions begin anew with each sequence, so that none sees another.

Legend: B packs, T tokens of the longest, N targets of all. Attention is cut at sequences by transformers itself,
which finds them from `position_ids` if and only if no attention mask and no cache are passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trainwright.formats.tokens import Pack, TokenShards
from trainwright.train.order import Packs

ROUND_TO = 32
"""Rows are padded to a multiple: fewer different shapes, fewer kernels to prepare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One micro-batch."""

    input_ids_BT: torch.Tensor
    position_ids_BT: torch.Tensor
    places_N: torch.Tensor
    """Where in the flattened rows the state lies that predicts each target."""
    labels_N: torch.Tensor
    rows: tuple[bytes, ...]
    """Ids of the rows in it."""
    tokens: int
    """Real ones, without padding."""

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(
            input_ids_BT=self.input_ids_BT.to(device),
            position_ids_BT=self.position_ids_BT.to(device),
            places_N=self.places_N.to(device),
            labels_N=self.labels_N.to(device),
            rows=self.rows,
            tokens=self.tokens,
        )


def micro_batches(shards: TokenShards, packs: Packs, size: int, count: int) -> Iterator[Batch]:
    """Exactly `count` micro-batches of at most `size` packs; those that have no pack left carry no target.

    ZeRO-2 and 3 communicate in each pass, so all ranks must make equally many.
    """
    for first in range(0, count * size, size):
        chosen = [shards.pack(int(number)) for number in packs[first : first + size]]
        yield collate(chosen) if chosen else empty_batch()


def collate(packs: Sequence[Pack]) -> Batch:
    """Lay packs out as rows of equal width. The padding of a row is a sequence of its own without targets."""
    width = max(len(pack.tokens) for pack in packs)
    width = -(-width // ROUND_TO) * ROUND_TO
    tokens = np.zeros((len(packs), width), np.int64)
    positions = np.zeros((len(packs), width), np.int64)
    places: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    labels: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for row, pack in enumerate(packs):
        length = len(pack.tokens)
        tokens[row, :length] = pack.tokens
        positions[row] = _positions([*map(int, pack.lengths), width - length])
        targets = np.flatnonzero(pack.targets)
        places.append(row * width + targets - 1)
        labels.append(pack.tokens[targets].astype(np.int64))
    return Batch(
        input_ids_BT=torch.from_numpy(tokens),
        position_ids_BT=torch.from_numpy(positions),
        places_N=torch.from_numpy(np.concatenate(places)),
        labels_N=torch.from_numpy(np.concatenate(labels)),
        rows=tuple(dict.fromkeys(row for pack in packs for row in pack.rows)),
        tokens=sum(len(pack.tokens) for pack in packs),
    )


def _positions(lengths: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])


def empty_batch() -> Batch:
    """A pass without a target: its loss is 0 and so is its gradient."""
    nothing = torch.zeros(0, dtype=torch.int64)
    zeros = torch.zeros((1, ROUND_TO), dtype=torch.int64)
    positions = torch.arange(ROUND_TO)[None]
    return Batch(input_ids_BT=zeros, position_ids_BT=positions, places_N=nothing, labels_N=nothing, rows=(), tokens=0)
