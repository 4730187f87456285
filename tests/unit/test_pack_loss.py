"""The loss of packed sequences: that of each sequence by itself, however they are packed."""

from __future__ import annotations

import math

import pytest
import torch
from trainwright.chat_template import ChatTemplate
from trainwright.formats.tokens import TokenShards
from trainwright.pack_loss import Loss, first_packs, loss_of, perplexity

from tests.factories import conversation
from tests.tiny_run import FACTS, shared_run, tiny_model, write_tokens

ROWS = [conversation(*fact, record=n) for n, fact in enumerate(FACTS)]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return ChatTemplate.load(shared_run(tmp_path_factory).inputs["tokenize"].folder)


@pytest.fixture(scope="module")
def model():
    return tiny_model(259, initializer_range=0.3).eval()


def shards(folder, template, rows):
    write_tokens(folder, template, rows)
    return TokenShards(folder)


@torch.inference_mode()
def alone(model, pack):
    """The loss of a pack of one sequence as transformers computes it."""
    ids = torch.tensor([pack.tokens.tolist()])
    labels = torch.where(torch.tensor([pack.targets.tolist()]), ids, -100)
    return float(model(input_ids=ids, labels=labels).loss) * int(pack.targets.sum())


def test_the_loss_of_a_pack_is_the_sum_of_its_sequences_each_by_itself(model, template, tmp_path):
    single = [shards(tmp_path / str(n), template, [row]).pack(0) for n, row in enumerate(ROWS)]
    packed = loss_of(model, shards(tmp_path / "packed", template, ROWS), [0, 1])
    assert packed.targets == sum(int(pack.targets.sum()) for pack in single)
    assert packed.nll == pytest.approx(sum(alone(model, pack) for pack in single), rel=1e-5)


def test_the_split_into_batches_does_not_matter(model, template, tmp_path, monkeypatch):
    packed = shards(tmp_path, template, ROWS)
    together = loss_of(model, packed, [0, 1])
    monkeypatch.setattr("trainwright.pack_loss.TOKENS_PER_BATCH", 1)
    assert loss_of(model, packed, [0, 1]).nll == pytest.approx(together.nll, rel=1e-6)


def test_the_first_rows_of_a_split_are_whole_packs(template, tmp_path):
    packed = shards(tmp_path, template, ROWS)
    assert [len(first_packs(packed, rows)) for rows in (1, 2, 3, 4, 100)] == [1, 1, 2, 2, 2]


def test_no_targets_no_loss():
    assert Loss(nll=0.0, targets=0).mean is None
    assert Loss(nll=0.0, targets=0).perplexity is None


def test_perplexity_is_the_exponential_of_the_loss_and_stays_a_number():
    assert perplexity(2.0) == pytest.approx(math.exp(2.0))
    assert perplexity(10_000.0) < math.inf
    assert perplexity(math.nan) is None
