"""The averages of the plan are those that were measured and written down."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from trainwright.plan import rates
from trainwright.plan.devices import CPU_CORE

RESULTS = Path(__file__).parents[3] / "bench" / "results"
MEASURED = json.loads((RESULTS / "plan_rates.json").read_text("utf-8"))


@pytest.mark.parametrize("stage", sorted(rates.CPU_US_PER_EXCHANGE))
def test_cpu_time_of_an_exchange_is_as_measured(stage: str) -> None:
    assert rates.CPU_US_PER_EXCHANGE[stage] == pytest.approx(MEASURED["cpu_us_per_exchange"][stage], rel=0.2)


def test_bytes_of_an_exchange_are_as_measured() -> None:
    sizes = MEASURED["bytes_per_exchange"]
    assert pytest.approx(sizes["ingest"] + sizes["prepare"], rel=0.2) == rates.ROW_BYTES
    assert pytest.approx(sizes["index"], rel=0.2) == rates.INDEX_BYTES


def test_the_rate_of_a_core_is_as_measured() -> None:
    rows = json.loads((RESULTS / "plan_cpu_core.json").read_text("utf-8"))["rows"]
    assert CPU_CORE.flops == pytest.approx(statistics.median(row["gflops"] for row in rows) * 1e9, rel=0.2)
