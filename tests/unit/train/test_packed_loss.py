"""Packed sequences see nothing of each other, and the summed loss is exact however it is cut up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from trainwright.formats.tokens import Pack, TokenShards
from trainwright.train import loss as loss_module
from trainwright.train.batches import Batch, collate, empty_batch, micro_batches
from trainwright.train.loss import PackedLoss, summed_loss

from tests.tiny_run import tiny_model
from tests.training_run import VOCABULARY, write_tokens


@pytest.fixture(scope="module")
def module() -> PackedLoss:
    return PackedLoss(tiny_model(VOCABULARY))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> TokenShards:
    folder = tmp_path_factory.mktemp("shards")
    write_tokens(folder, 40)
    return TokenShards(folder)


def sequences(pack: Pack) -> list[Pack]:
    """Each sequence of a pack as a pack of its own."""
    ends = np.cumsum(pack.lengths)
    return [
        Pack(tokens=pack.tokens[end - n : end], targets=pack.targets[end - n : end], lengths=np.array([n]), rows=[row])
        for n, end, row in zip(pack.lengths, ends, pack.rows, strict=True)
    ]


def test_a_pack_has_the_loss_of_its_sequences_alone(module: PackedLoss, shards: TokenShards) -> None:
    pack = shards.pack(0)
    assert len(pack.lengths) > 1
    alone = sum(float(summed_loss(module, collate([one])).detach()) for one in sequences(pack))
    assert float(summed_loss(module, collate([pack])).detach()) == pytest.approx(alone, rel=1e-5)


def test_a_pack_as_one_sequence_would_have_another_loss(module: PackedLoss, shards: TokenShards) -> None:
    pack = shards.pack(0)
    mixed = Pack(tokens=pack.tokens, targets=pack.targets, lengths=np.array([len(pack.tokens)]), rows=pack.rows[:1])
    exact = float(summed_loss(module, collate([pack])).detach())
    assert float(summed_loss(module, collate([mixed])).detach()) != pytest.approx(exact, rel=1e-3)


def test_the_loss_is_that_of_all_logits(module: PackedLoss, shards: TokenShards) -> None:
    pack = sequences(shards.pack(0))[0]
    tokens = torch.from_numpy(pack.tokens.astype(np.int64))[None]
    logits = module.network(input_ids=tokens, use_cache=False).logits[0, :-1].float()
    labels = torch.where(torch.from_numpy(pack.targets)[1:], tokens[0, 1:], -100)
    expected = F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    assert float(summed_loss(module, collate([pack])).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_chunks_change_neither_loss_nor_gradient(
    module: PackedLoss, shards: TokenShards, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = collate([shards.pack(0), shards.pack(1)])
    whole = gradients(module, batch)
    monkeypatch.setattr(loss_module, "LOGITS_AT_ONCE", VOCABULARY * 7)
    assert torch.allclose(gradients(module, batch), whole, rtol=1e-4, atol=1e-6)


def test_micro_batches_add_up_to_the_gradient_of_one(module: PackedLoss, shards: TokenShards) -> None:
    packs = np.arange(5)
    together = gradients(module, collate([shards.pack(n) for n in range(5)]))
    assert torch.allclose(gradients(module, *micro_batches(shards, packs, 2, 3)), together, rtol=1e-4, atol=1e-5)


def test_a_batch_without_targets_has_loss_and_gradient_zero(module: PackedLoss) -> None:
    assert float(summed_loss(module, empty_batch()).detach()) == 0.0
    assert float(gradients(module, empty_batch()).abs().max()) == 0.0


def test_every_rank_makes_as_many_passes_as_the_others(shards: TokenShards) -> None:
    batches = list(micro_batches(shards, np.array([3], np.int64), 2, 3))
    assert [len(batch.labels_N) > 0 for batch in batches] == [True, False, False]


def test_a_batch_knows_its_rows(shards: TokenShards) -> None:
    assert collate([shards.pack(0)]).rows == tuple(shards.pack(0).rows)


def gradients(module: PackedLoss, *batches: Batch) -> torch.Tensor:
    module.zero_grad()
    for batch in batches:
        summed_loss(module, batch).backward()
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None])
