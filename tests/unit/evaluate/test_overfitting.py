"""The overfitting signal: only when validation loss rose clearly while training loss fell."""

from __future__ import annotations

from trainwright.evaluate.overfitting import overfitting


def curve(*losses, every=10):
    return [{"step": n * every, "loss": loss} for n, loss in enumerate(losses)]


def falling(count, start=4.0, by=0.02):
    return [{"step": n, "loss": start - by * n} for n in range(1, count + 1)]


def test_a_validation_loss_that_rose_while_training_fell_is_a_signal():
    found = overfitting(curve(4.0, 3.0, 2.8, 3.1), falling(30))
    assert found["signal"]
    assert "2.8000 at step 20 to 3.1000 at step 30" in found["message"]


def test_a_validation_loss_that_falls_to_the_end_is_none():
    assert not overfitting(curve(4.0, 3.0, 2.8, 2.7), falling(30))["signal"]


def test_a_rise_within_the_noise_is_none():
    assert not overfitting(curve(4.0, 3.0, 2.80, 2.82), falling(30))["signal"]


def test_a_rise_of_both_curves_is_divergence_not_overfitting():
    assert not overfitting(curve(4.0, 3.0, 2.8, 3.1), falling(30, by=-0.02))["signal"]


def test_nothing_is_claimed_from_one_validation_or_missing_losses():
    assert not overfitting([{"step": 0, "loss": 4.0}], falling(5))["signal"]
    assert not overfitting([{"step": 0, "loss": None}, {"step": 5, "loss": None}], falling(5))["signal"]
