"""Decisions, tried in thousands of orders of events, restarts and lost writes."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from tests.unit.operator.simulation import SPEC, Simulation

SEEDS = range(300)
ALL = {"weights", "ingest", "prepare", "tokenize", "index", "train", "evaluate", "export", "report"}


def states(simulation: Simulation) -> dict[str, str]:
    return {name: entry["state"] for name, entry in simulation.status["stages"].items()}


@pytest.mark.parametrize("kills", [0.0, 0.3])
def test_every_order_of_events_ends_in_the_same_state(kills: float) -> None:
    for seed in SEEDS:
        done = Simulation(dice=random.Random(seed), kills=kills).until_the_end()
        assert done.run.finished == "Complete", seed
        assert states(done) == dict.fromkeys(ALL, "Succeeded"), seed
        assert sorted(done.started) == [("data", 1), ("finish", 1), ("index", 1), ("train", 1)], seed


@pytest.mark.parametrize("reason", ["RankCrashed", "NodeLost"])
def test_failures_are_tried_again_and_what_is_finished_is_never_run_twice(reason: str) -> None:
    for seed in SEEDS:
        done = Simulation(dice=random.Random(seed), failures=3, reason=reason, kills=0.1).until_the_end(looks=800)
        assert done.run.finished == "Complete", seed
        assert len(done.finished) == len(set(done.finished)), seed
        assert done.gangs_at_once <= 1, seed
        again = {(group, attempt - 1) for group, attempt in done.started if attempt > 1}
        assert again <= done.failed_attempts, seed
        assert "failure" not in done.status, seed


def test_failures_of_the_user_end_the_run_after_the_backoff_limit() -> None:
    spec = {**SPEC, "backoffLimit": 1}
    done = Simulation(dice=random.Random(1), spec=spec, failures=99).until_the_end(looks=2000)
    assert done.run.finished == "Failed"
    assert done.status["reason"] == "RankCrashed"
    assert done.status["failure"]["message"] == "it broke"
    assert not [job for job in done.jobs.values() if not job.is_over and not job.deleting]


def test_lost_nodes_never_use_up_the_backoff_limit() -> None:
    spec = {**SPEC, "backoffLimit": 0}
    done = Simulation(dice=random.Random(2), spec=spec, failures=6, reason="NodeLost").until_the_end(looks=4000)
    assert done.run.finished == "Complete"


@pytest.mark.parametrize("seed", range(40))
def test_a_suspended_run_holds_nothing_and_goes_on_where_it_was(seed: int) -> None:
    one = Simulation(dice=random.Random(seed))
    for _ in range(one.dice.randint(1, 60)):
        one.look()
        one.happen()
    if one.run.finished:
        return
    finished = {name for name, state in states(one).items() if state == "Succeeded"}
    one.spec = {**one.spec, "suspend": True}
    for _ in range(60):
        one.look()
        one.happen()
    assert one.status["phase"] in ("Suspended", "Complete")
    if one.status["phase"] == "Complete":
        return
    assert not [job for job in one.jobs.values() if not job.is_over]
    assert finished <= {name for name, state in states(one).items() if state == "Succeeded"}
    before = list(one.started)
    one.spec = {**one.spec, "suspend": False}
    one.until_the_end()
    assert one.run.finished == "Complete"
    again = [group for group, _ in one.started[len(before) :]]
    done_groups = {"data"} if "tokenize" in finished else set()
    assert not done_groups & set(again)
    assert len(set(one.started)) == len(one.started)


def test_the_same_world_gives_the_same_decision_and_an_unchanged_world_writes_nothing() -> None:
    one = Simulation(dice=random.Random(5))
    for _ in range(30):
        one.look()
        before = dict(one.status)
        started = list(one.started)
        one.look()
        assert (one.status, one.started) == (before, started)
        one.happen()


def test_a_run_past_its_deadline_fails_and_frees_everything() -> None:
    one = Simulation(dice=random.Random(3), spec={**SPEC, "activeDeadlineSeconds": 60})
    one.look()
    one.happen()
    one.look()
    one.now += timedelta(seconds=61)
    one.look()
    assert one.status["reason"] == "DeadlineExceeded"
    assert not [job for job in one.jobs.values() if not job.is_over and not job.deleting]


def test_a_finished_run_is_deleted_when_its_time_to_live_is_over() -> None:
    spec = {**SPEC, "ttlSecondsAfterFinished": 100, "output": {"uri": "s3://models/chat"}}
    done = Simulation(dice=random.Random(4), spec=spec).until_the_end()
    assert not done.deleted
    done.now += timedelta(seconds=101)
    done.look()
    assert done.deleted
