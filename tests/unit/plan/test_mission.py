"""The mission's two formulas, to the digit."""

from __future__ import annotations

import pytest
from trainwright.plan import mission


def test_preparing_200_million_rows_takes_117_hours_on_one_machine_and_7_point_3_on_16() -> None:
    assert mission.preparation_seconds(200_000_000, 1) / 3600 == pytest.approx(116.6667, abs=5e-5)
    assert mission.preparation_seconds(200_000_000, 16) / 3600 == pytest.approx(7.2917, abs=5e-5)


def test_training_3_billion_parameters_takes_267_days_on_one_gpu_and_721153_85_seconds_on_32() -> None:
    one = mission.training_seconds(3_000_000_000, 200_000_000, 1000, 1)
    assert round(one / 86400) == 267
    assert round(one / 86400, 2) == 267.09
    assert f"{mission.training_seconds(3_000_000_000, 200_000_000, 1000, 32):,.2f}" == "721,153.85"
