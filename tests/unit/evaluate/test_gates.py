"""Gates: limits on the winner's figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainwright.api.evaluation import Gate
from trainwright.errors import EXIT_BAD_INPUT, QualityGate
from trainwright.evaluate.gates import judge, refuse_missed

RESULT = {"loss": 2.0, "perplexity": 7.389, "bleu": 0.2, "rougeL": None}


@pytest.mark.parametrize(
    ("gate", "met"),
    [
        (Gate(metric="bleu", min=0.2), True),
        (Gate(metric="bleu", min=0.21), False),
        (Gate(metric="perplexity", max=7.0), False),
        (Gate(metric="loss", min=1.0, max=2.0), True),
        (Gate(metric="rougeL", min=0.0), False),
        (Gate(metric="probes", min=0.0), False),
    ],
)
def test_a_gate_is_met_within_its_limits_and_never_by_a_missing_figure(gate, met):
    assert judge([gate], RESULT)[0]["met"] is met


def test_a_missed_gate_names_metric_value_limit_and_where_the_weights_lie():
    judged = judge([Gate(metric="bleu", min=0.5), Gate(metric="loss", max=3)], RESULT)
    with pytest.raises(QualityGate) as caught:
        refuse_missed(judged, weights=Path("/w/candidates/step-9"), rows="test", figures=Path("/w/out"))
    assert "1 of 2 gates missed on test rows" in caught.value.message
    assert "bleu is 0.2, wanted at least 0.5" in caught.value.message
    assert "/w/candidates/step-9" in caught.value.message and "/w/out" in caught.value.message
    assert caught.value.exit_code == EXIT_BAD_INPUT


def test_gates_that_are_all_met_raise_nothing():
    refuse_missed(judge([Gate(metric="bleu", min=0.1)], RESULT), weights=Path(), rows="test", figures=Path())
