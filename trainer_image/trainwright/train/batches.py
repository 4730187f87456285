"""Packs become tensors: rows of tokens whose positions begin anew with each sequence, so that none sees another.

Legend: B packs, T tokens of the longest, N targets of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from trainwright.formats.tokens import Pack, TokenShards
from trainwright.pack_loss import rows_of
from trainwright.train.order import Packs

EMPTY_TOKENS = 8


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

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(
            input_ids_BT=self.input_ids_BT.to(device),
            position_ids_BT=self.position_ids_BT.to(device),
            places_N=self.places_N.to(device),
            labels_N=self.labels_N.to(device),
            rows=self.rows,
        )


def micro_batches(shards: TokenShards, packs: Packs, size: int, count: int) -> Iterator[Batch]:
    """Exactly `count` micro-batches of at most `size` packs; those that have no pack left carry no target.

    ZeRO-2 and 3 communicate in each pass, so all ranks must make equally many.
    """
    for first in range(0, count * size, size):
        chosen = [shards.pack(int(number)) for number in packs[first : first + size]]
        yield collate(chosen) if chosen else empty_batch()


def collate(packs: Sequence[Pack]) -> Batch:
    """Lay packs out as rows of equal width and find the targets in them."""
    tokens_BT, positions_BT, targets_BT = rows_of(packs)
    found_N = targets_BT.flatten().nonzero().squeeze(1)
    return Batch(
        input_ids_BT=tokens_BT,
        position_ids_BT=positions_BT,
        places_N=found_N - 1,
        labels_N=tokens_BT.flatten()[found_N],
        rows=tuple(dict.fromkeys(row for pack in packs for row in pack.rows)),
    )


def empty_batch() -> Batch:
    """A pass without a target: its loss is 0 and so is its gradient."""
    nothing = torch.zeros(0, dtype=torch.int64)
    zeros = torch.zeros((1, EMPTY_TOKENS), dtype=torch.int64)
    positions = torch.arange(EMPTY_TOKENS)[None]
    return Batch(input_ids_BT=zeros, position_ids_BT=positions, places_N=nothing, labels_N=nothing, rows=())
