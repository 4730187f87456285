"""The loss of a model on packed sequences: the one definition behind every validation and test figure.

In: a transformers model, token shards, the numbers of packs. Out: the sum of the negative log-likelihoods (nats) over
the targets and their number; the loss of a split is their ratio, so it does not depend on packing or batches.
Attention is kept inside each sequence by position ids that begin anew; transformers builds the block-diagonal mask
from them, but only without an attention mask and without a cache (a mask of ones or use_cache=True mixes the
sequences).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from trainwright.formats.spread import spread
from trainwright.formats.tokens import Pack, TokenShards

TOKENS_PER_BATCH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Negative log-likelihood summed over `targets` target tokens, in nats."""

    nll: float
    targets: int

    @property
    def mean(self) -> float | None:
        """The loss per target; None if there is none."""
        return self.nll / self.targets if self.targets else None

    @property
    def perplexity(self) -> float | None:
        """exp(loss); None if there is no target."""
        return perplexity(self.mean)


def perplexity(loss: float | None) -> float | None:
    """exp(loss), with an exponent that stays inside a float."""
    return None if loss is None or math.isnan(loss) else math.exp(min(loss, 700.0))


def first_packs(shards: TokenShards, max_rows: int) -> range:
    """The packs that hold the first `max_rows` sequences of a split; the last one may go over."""
    rows = 0
    for number in range(shards.pack_count):
        if rows >= max_rows:
            return range(number)
        rows += len(shards.pack(number).lengths)
    return range(shards.pack_count)


@torch.inference_mode()
def loss_of(model: Any, shards: TokenShards, packs: Sequence[int]) -> Loss:
    """The loss over the targets of these packs; sums are kept in double precision, in the order of the packs."""
    nll, targets = 0.0, 0
    for batch in _batches(shards, packs):
        batch_nll, batch_targets = batch_loss(model, batch)
        nll += float(batch_nll)
        targets += batch_targets
    return Loss(nll=nll, targets=targets)


def batch_loss(model: Any, packs: Sequence[Pack]) -> tuple[torch.Tensor, int]:
    """Negative log-likelihood (fp32 scalar, summed) and number of the targets of some packs, as rows of one batch.

    The head is applied to the positions before targets only, so no logits are made for the other tokens.
    """
    device = next(model.parameters()).device
    tokens_BT, positions_BT, targets_BT = (part.to(device) for part in rows_of(packs))
    if not bool(targets_BT.any()):
        return torch.zeros((), device=device), 0
    hidden_BTD = model.get_decoder()(
        input_ids=tokens_BT, position_ids=positions_BT, attention_mask=None, use_cache=False
    ).last_hidden_state
    before_ND = hidden_BTD[:, :-1][targets_BT[:, 1:]]
    logits_NV = model.get_output_embeddings()(before_ND).float()
    nll = F.cross_entropy(logits_NV, tokens_BT[:, 1:][targets_BT[:, 1:]], reduction="sum")
    return nll, len(before_ND)


def rows_of(packs: Sequence[Pack]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, positions (restarting with each sequence) and targets, [rows, width].

    The sequences of all packs are spread anew: narrow rows need less attention. What is left of a row is filled by a
    sequence of its own without targets.
    """
    pieces = [piece for pack in packs for piece in _sequences(pack)]
    rows = spread([len(tokens) for tokens, _ in pieces])
    width = max(sum(len(pieces[number][0]) for number in row) for row in rows)
    tokens = np.zeros((len(rows), width), np.int64)
    positions = np.zeros((len(rows), width), np.int64)
    targets = np.zeros((len(rows), width), np.bool_)
    for row, numbers in enumerate(rows):
        end = 0
        for number in numbers:
            start, end = end, end + len(pieces[number][0])
            tokens[row, start:end], targets[row, start:end] = pieces[number]
            positions[row, start:end] = np.arange(end - start)
        positions[row, end:] = np.arange(width - end)
    return torch.from_numpy(tokens), torch.from_numpy(positions), torch.from_numpy(targets)


def _sequences(pack: Pack) -> Iterator[tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]]:
    """Tokens and targets of each sequence of a pack."""
    end = 0
    for length in pack.lengths:
        start, end = end, end + int(length)
        yield pack.tokens[start:end], pack.targets[start:end]


def _batches(shards: TokenShards, packs: Sequence[int]) -> Iterator[list[Pack]]:
    batch: list[Pack] = []
    width = 0
    for number in packs:
        pack = shards.pack(number)
        width = max(width, len(pack.tokens))
        if batch and width * (len(batch) + 1) > TOKENS_PER_BATCH:
            yield batch
            batch, width = [], len(pack.tokens)
        batch.append(pack)
    if batch:
        yield batch
