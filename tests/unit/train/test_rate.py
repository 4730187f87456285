"""The learning rate by steps: its ends, and no jump when a training goes on with another length."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from trainwright.train.rate import Rate

COSINE = Rate(schedule="Cosine", peak=1e-3, warmup_steps=3, steps=100)


def test_warm_up_rises_evenly_to_the_peak() -> None:
    assert [COSINE.at(step) for step in (1, 2, 3)] == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3])


@pytest.mark.parametrize("schedule", ["Cosine", "Linear"])
@pytest.mark.parametrize("steps", [5, 27, 100])
def test_the_last_rate_is_the_floor(schedule: str, steps: int) -> None:
    rate = replace(COSINE, schedule=schedule, steps=steps)
    assert rate.at(steps) == pytest.approx(0.0, abs=1e-12)


def test_cosine_is_at_half_its_peak_half_way() -> None:
    assert replace(COSINE, warmup_steps=0).at(50) == pytest.approx(5e-4)


def test_without_warm_up_the_first_rate_is_near_the_peak() -> None:
    assert replace(COSINE, warmup_steps=0).at(1) == pytest.approx(1e-3, rel=1e-3)


def test_constant_stays_at_the_peak() -> None:
    assert {replace(COSINE, schedule="Constant").at(step) for step in range(3, 101)} == {1e-3}


def test_a_resumed_training_of_the_same_length_has_the_same_rates() -> None:
    assert COSINE.going_on_from(COSINE, 60) == COSINE


@pytest.mark.parametrize("schedule", ["Cosine", "Linear"])
@pytest.mark.parametrize("steps", [61, 70, 200, 1000])
@pytest.mark.parametrize("stopped", [2, 3, 60])
def test_another_length_goes_on_without_a_jump_and_ends_at_the_floor(schedule: str, steps: int, stopped: int) -> None:
    earlier = replace(COSINE, schedule=schedule)
    later = replace(earlier, steps=steps, warmup_steps=math.ceil(0.03 * steps)).going_on_from(earlier, stopped)
    rates = [earlier.at(stopped), *(later.at(step) for step in range(stopped + 1, steps + 1))]
    jumps = [abs(b - a) for a, b in itertools.pairwise(rates)]
    slope = max(1e-3 / max(1, min(later.warmup_steps, 3)), math.pi / 2 * rates[0] / (steps - stopped))
    assert max(jumps) <= slope * 1.001
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_a_training_that_went_on_once_keeps_its_curve_after_a_crash() -> None:
    later = replace(COSINE, steps=200).going_on_from(COSINE, 60)
    assert replace(COSINE, steps=200).going_on_from(later, 150) == later


def test_a_checkpoint_before_the_first_step_changes_nothing() -> None:
    assert replace(COSINE, steps=200).going_on_from(COSINE, 0) == replace(COSINE, steps=200)
