"""metrics.json: two runs of equal inputs are equal but for the parts that are named after clock, place and plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainwright.report import run

from tests.sample_run import sample_facts, sample_run

APART = {"times", "places", "plan", "lineage"}


def metrics(folder: Path, facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """metrics.json of the sample run, changed as told."""
    folder.mkdir(exist_ok=True)
    config, inputs = sample_run(folder, facts)
    (folder / "report").mkdir()
    run(config, inputs, folder / "report")
    read: dict[str, Any] = json.loads((folder / "report" / "metrics.json").read_text("utf-8"))
    return read


def test_disturbed_run_differs_only_in_the_parts_for_clock_place_and_plan(tmp_path: Path) -> None:
    disturbed = sample_facts()
    disturbed["seconds"] = dict.fromkeys(disturbed["seconds"], 999.0)
    disturbed["stages"]["train"] |= {"attempt": 4}
    disturbed["stages"]["train"]["metrics"]["tokensPerSecond"] = 3.1
    disturbed["stages"]["export"]["metrics"] |= {"firstTokenSeconds": 9.0, "tokensPerSecond": 1.0, "uri": "elsewhere"}
    del disturbed["plan"]
    once, again = metrics(tmp_path / "once"), metrics(tmp_path / "again", disturbed)
    assert once != again
    assert {name for name in once if once[name] != again[name]} <= APART


def test_another_result_differs_in_the_compared_part(tmp_path: Path) -> None:
    other = sample_facts()
    other["stages"]["evaluate"]["metrics"]["result"]["loss"] += 1e-9
    once, again = metrics(tmp_path / "once"), metrics(tmp_path / "again", other)
    assert {name for name in once if once[name] != again[name]} - APART


def test_times_and_speeds_stand_under_times(tmp_path: Path) -> None:
    times = metrics(tmp_path)["times"]
    assert times["train"]["metrics"]["tokensPerSecond"] == 204.6
    assert times["export"]["metrics"]["firstTokenSeconds"] == 0.231
    assert times["facts"]["train"]["seconds"] == 155.2


def test_result_gates_and_counts_are_at_hand(tmp_path: Path) -> None:
    read = metrics(tmp_path)
    assert read["result"]["loss"] == 3.7711
    assert read["gates"][0]["met"] is True
    assert read["stages"]["prepare"]["counts"]["rowsKept"] == 124811
    assert read["lineage"]["keys"]["train"]
