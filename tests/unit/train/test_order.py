"""Which packs a step trains on: every pack once per epoch, the same for any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from trainwright.train.order import Order, permutation, share


def order(**changes: object) -> Order:
    values: dict[str, object] = {"packs": np.arange(10, dtype=np.int64), "seed": 42, "packs_per_step": 3, "last": 20}
    return Order(**{**values, **changes})  # type: ignore[arg-type]


def test_every_epoch_takes_every_pack_once_in_another_order() -> None:
    taken = np.concatenate([order().of_step(step) for step in range(1, 8)])
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert list(taken[:10]) != list(taken[10:])


def test_the_last_step_takes_what_is_left() -> None:
    assert [len(order().of_step(step)) for step in (6, 7, 8)] == [3, 2, 0]


def test_without_an_end_epochs_follow_each_other() -> None:
    assert len(order(last=None).of_step(1000)) == 3


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_share_a_step_without_rest_or_overlap(ranks: int) -> None:
    packs = order(packs_per_step=7).of_step(1)
    assert sorted(np.concatenate([share(packs, rank, ranks) for rank in range(ranks)])) == sorted(packs)


def test_a_step_is_the_same_whichever_step_came_before() -> None:
    used = order()
    used.of_step(7)
    assert list(used.of_step(2)) == list(order().of_step(2))


def test_packs_without_a_target_are_never_taken() -> None:
    some = order(packs=np.array([1, 4, 5], np.int64), last=None)
    assert set(np.concatenate([some.of_step(step) for step in range(1, 5)])) == {1, 4, 5}


def test_going_on_from_another_batch_size_skips_and_repeats_nothing() -> None:
    first = order(last=None)
    later = order(last=None, packs_per_step=2, anchor_step=3, anchor_packs=first.taken_after(3))
    stream = np.concatenate([first.of_step(step) for step in range(1, 11)])
    assert list(np.concatenate([later.of_step(step) for step in range(4, 9)])) == list(stream[9:19])


def test_the_permutation_of_a_seed_stays_what_it_was() -> None:
    assert list(permutation(42, 0, 8)) == [3, 1, 5, 7, 4, 0, 6, 2]
