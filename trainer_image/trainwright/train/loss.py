"""The loss of a micro-batch: negative log-likelihood of its targets, summed, in nats.

Logits are computed where a target is predicted and nowhere else, in chunks that are computed again in the backward
pass, so that a large vocabulary never fills the memory.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from trainwright.train.batches import Batch

LOGITS_AT_ONCE = 1 << 26
"""Entries of one chunk: 256 MiB in fp32, about 1,300 targets of a vocabulary of 49,152."""


class PackedLoss(torch.nn.Module):
    """A causal language model whose output is the summed loss of a batch; the engine wraps this module.

    The whole computation is inside `forward`, because ZeRO-3 gathers weights when a module is called.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        input_ids_BT: torch.Tensor,
        position_ids_BT: torch.Tensor,
        places_N: torch.Tensor,
        labels_N: torch.Tensor,
    ) -> torch.Tensor:
        """Sum the loss over the N targets; a batch without targets gives 0 with a gradient of 0."""
        states_BTD = self.network.get_decoder()(
            input_ids=input_ids_BT, position_ids=position_ids_BT, attention_mask=None, use_cache=False
        ).last_hidden_state
        if len(labels_N) == 0:
            return self._nll(states_BTD.flatten(0, 1)[:1], labels_N.new_zeros(1)) * 0.0
        states_ND = states_BTD.flatten(0, 1)[places_N]
        size = max(1, LOGITS_AT_ONCE // self.network.config.vocab_size)
        if len(labels_N) <= size:
            return self._nll(states_ND, labels_N)
        chunks = zip(torch.split(states_ND, size), torch.split(labels_N, size), strict=True)
        return torch.stack([checkpoint(self._nll, *chunk, use_reentrant=False) for chunk in chunks]).sum()

    def _nll(self, states_ND: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        logits_NV = self.network.get_output_embeddings()(states_ND).float()
        return F.cross_entropy(logits_NV, labels_N, reduction="sum")


def summed_loss(module: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The summed loss of a batch through the module or the engine that wraps it."""
    loss: torch.Tensor = module(batch.input_ids_BT, batch.position_ids_BT, batch.places_N, batch.labels_N)
    return loss
