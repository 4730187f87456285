"""The figures of a training: steps, batch, validations, and what cannot be trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trainwright.api import Spec
from trainwright.errors import BadInput
from trainwright.train.settings import Settings, cpu_micro_batch, seconds, settle, validation_steps


def settled(targets: list[int] | None = None, tokens: int = 51_200, **training: Any) -> Settings:
    spec = Spec.model_validate({"model": {"from": "./m"}, "data": {"sources": [{"uri": "./x"}]}, "training": training})
    packs = np.array(targets if targets is not None else [100] * 100, np.int64)
    return settle(spec, targets_per_pack=packs, tokens=tokens, sequence_length=512, micro_batch=4)


def test_epochs_become_steps_of_equally_many_packs() -> None:
    assert settled(epochs=1, batchTokens=1024).steps == 50
    assert settled(epochs=1.5, batchTokens=1024).steps == 75
    assert settled(epochs=0.001, batchTokens=1024).steps == 1


def test_max_steps_end_the_training_even_before_an_epoch() -> None:
    few = settled(maxSteps=3, batchTokens=1024)
    assert (few.steps, few.ends_by) == (3, "maxSteps")
    assert settled(epochs=1).ends_by == "epochs"


def test_an_absent_batch_gives_about_a_thousand_steps_within_bounds() -> None:
    assert settled(epochs=1, tokens=51_200).batch_tokens == 8_192
    assert settled(epochs=1, tokens=100_000_000).batch_tokens == 131_072
    assert settled(epochs=1, tokens=10**10).batch_tokens == 524_288


def test_a_pack_without_a_target_makes_no_step() -> None:
    one = settled([0, 0, 7, 0], epochs=3, batchTokens=1024)
    assert list(one.order.of_step(1)) == [2, 2]
    assert one.steps == 2


def test_tokens_without_any_target_are_refused() -> None:
    with pytest.raises(BadInput, match="no target"):
        settled([0, 0], epochs=1)


def test_validations_are_spread_evenly_and_include_the_last_step() -> None:
    assert list(validation_steps(100, None)) == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert list(validation_steps(27, 9)) == [9, 18, 27]
    assert list(validation_steps(28, 9)) == [9, 18, 27, 28]
    assert list(validation_steps(3, None)) == [1, 2, 3]


def test_a_cpu_works_on_two_thousand_tokens_at_once() -> None:
    assert [cpu_micro_batch(length) for length in (256, 512, 2048, 4096)] == [8, 4, 1, 1]


def test_durations_are_read() -> None:
    assert [seconds(text) for text in ("90s", "30m", "1h30m", "0s")] == [90, 1800, 5400, 0]
