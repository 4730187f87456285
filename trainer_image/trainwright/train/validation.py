"""Validation loss by all ranks: mean negative log-likelihood per target token of the validation rows, in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from trainwright.formats.tokens import Pack, TokenShards
from trainwright.train.batches import Batch, collate, empty_batch
from trainwright.train.engine import Engine
from trainwright.train.loss import summed_loss
from trainwright.train.order import permutation


def validation_batches(
    shards: TokenShards, *, max_rows: int, seed: int, size: int, rank: int, ranks: int
) -> list[Batch]:
    """This rank's batches of at most `max_rows` rows; the rows are the same for any number of ranks.

    Packs are drawn by the seed, because packing sorts them by length. At least one is taken. All ranks get equally many
    batches; one that has nothing left gets some without a target.
    """
    chosen: list[Pack] = []
    rows = 0
    for number in permutation(seed, 0, shards.pack_count):
        pack = shards.pack(int(number))
        rows += len(pack.lengths)
        if chosen and rows > max_rows:
            break
        if pack.targets.any():
            chosen.append(pack)
    chosen.sort(key=lambda pack: -len(pack.tokens))
    mine = chosen[rank::ranks]
    count = math.ceil(math.ceil(len(chosen) / ranks) / size)
    parts = [mine[first : first + size] for first in range(0, count * size, size)]
    return [collate(part) if part else empty_batch() for part in parts]


def validation_loss(engine: Engine, batches: Sequence[Batch]) -> float:
    """The loss of the weights as they are now; all ranks must call this. NaN if a loss is not finite."""
    engine.module.eval()
    total, targets = torch.zeros((), dtype=torch.float64, device=engine.ranks.device), 0
    with torch.no_grad():
        for batch in batches:
            total += summed_loss(engine.module, batch.to(engine.ranks.device)).double()
            targets += len(batch.labels_N)
    engine.module.train()
    nll, count = engine.ranks.sum([total.item(), float(targets)])
    return nll / count if count and math.isfinite(nll) else math.nan
