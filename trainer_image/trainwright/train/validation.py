"""Validation loss by all ranks: mean negative log-likelihood per target token of the validation rows, in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from trainwright.formats.tokens import TokenShards
from trainwright.pack_loss import first_packs
from trainwright.train.batches import Batch, micro_batches
from trainwright.train.engine import Engine
from trainwright.train.loss import summed_loss
from trainwright.train.order import share


def validation_batches(shards: TokenShards, *, max_rows: int, size: int, rank: int, ranks: int) -> list[Batch]:
    """This rank's batches of the first `max_rows` validation rows; the rows are the same for any number of ranks.

    All ranks get equally many batches; one that has no pack left gets some without a target.
    """
    packs = np.array(first_packs(shards, max_rows), np.int64)
    count = math.ceil(math.ceil(len(packs) / ranks) / size)
    return list(micro_batches(shards, share(packs, rank, ranks), size, count))


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
