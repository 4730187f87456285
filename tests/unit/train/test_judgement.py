"""What validations say: best, kept, patience; a NaN is never best and interruptions change nothing."""

from __future__ import annotations

import math

import pytest
from trainwright.train.judgement import Validation, kept_steps, patience_after, ranked


def curve(*losses: float) -> list[Validation]:
    return [Validation(step=10 * n, loss=loss) for n, loss in enumerate(losses)]


def test_the_lowest_loss_is_best_and_the_untrained_model_is_no_candidate() -> None:
    assert ranked(curve(1.0, 3.0, 2.0, 2.5))[0].step == 20


def test_a_nan_is_never_best() -> None:
    assert ranked(curve(5.0, math.nan, 4.0, math.nan))[0].step == 20
    assert patience_after(curve(5.0, math.nan), 0).best == 5.0


def test_a_nan_that_comes_first_does_not_stop_later_improvements_from_counting() -> None:
    assert patience_after(curve(math.nan, 4.0), 0) == patience_after(curve(4.0), 0)


def test_equal_losses_keep_the_earlier_step() -> None:
    assert ranked(curve(9.0, 2.0, 2.0))[0].step == 10


def test_the_best_and_the_last_stay() -> None:
    assert kept_steps(curve(9.0, 3.0, 1.0, 2.0, 4.0), keep=1) == [20, 40]
    assert kept_steps(curve(9.0, 3.0, 1.0, 2.0, 4.0), keep=2) == [20, 30, 40]
    assert kept_steps(curve(9.0, 3.0, 1.0), keep=1) == [20]


def test_patience_counts_validations_without_improvement() -> None:
    assert [patience_after(curve(5.0, 4.0, 4.1, 4.2, 3.9)[:n], 0).bad for n in range(1, 6)] == [0, 0, 1, 2, 0]


def test_an_improvement_must_exceed_min_delta() -> None:
    assert patience_after(curve(5.0, 4.95, 4.91), min_delta=0.1).bad == 2


def test_validations_survive_the_way_through_a_manifest() -> None:
    there = [Validation.of(validation.as_json()) for validation in curve(1.5, math.nan)]
    assert there[0] == Validation(step=0, loss=1.5)
    assert math.isnan(there[1].loss)


def test_a_huge_loss_has_no_perplexity_instead_of_an_invalid_number() -> None:
    assert Validation(step=1, loss=1e4).as_json()["perplexity"] is None
    assert Validation(step=1, loss=1.0).as_json()["perplexity"] == pytest.approx(math.e)
