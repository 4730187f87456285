"""Tokens of a step and steps of a training."""

from __future__ import annotations

import pytest
from trainwright.plan.steps import default_batch_tokens, packs_per_step, step_count


@pytest.mark.parametrize(
    ("tokens", "batch"),
    [(1_000, 8192), (16_384_000, 16_384), (131_072_000, 131_072), (10**12, 524_288)],
)
def test_the_default_step_gives_about_a_thousand_of_them(tokens: int, batch: int) -> None:
    assert default_batch_tokens(tokens, 2048) == batch


def test_a_step_holds_at_least_one_sequence() -> None:
    assert default_batch_tokens(1_000, 10_000) == 16_384


def test_packs_of_a_step_do_not_depend_on_devices() -> None:
    assert packs_per_step(131_072, 2048) == 64


def test_the_last_step_may_be_short() -> None:
    assert step_count(packs=10, epochs=3, packs_a_step=4) == 8
    assert step_count(packs=1, epochs=0.1, packs_a_step=4) == 1
