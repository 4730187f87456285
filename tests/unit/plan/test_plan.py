"""A plan as a whole: what is exact, what is estimated, what is said to be missing, and what is refused."""

from __future__ import annotations

import json
import re

import pytest
from trainwright.errors import DoesNotFit
from trainwright.plan import Facts, SourceFacts, StageLine, check, plan, render, to_json
from trainwright.plan.values import Plan

from tests.unit.plan.planning import GB, facts, gpus, laptop, shape, spec

MISSION = {"epochs": 1000, "objective": "Finetune", "batchTokens": 2_097_152}


def mission() -> Plan:
    sources = (SourceFacts(name="corpus", limit=200_000_000),)
    return plan(spec(training=MISSION), facts(sources=sources), gpus(32, machines=16), name="mission")


def test_the_mission_formulas_stand_beside_our_own_estimate() -> None:
    text = render(mission())
    assert "116.67 h   200,000,000 rows × 2.1 ms ÷ 1\n" in text
    assert "7.29 h   200,000,000 rows × 2.1 ms ÷ 16\n" in text
    assert "23,076,923.08 s, 267.09 d" in text
    assert "721,153.85 s, 8.35 d" in text
    assert "516 d" in text


def test_our_estimate_is_the_mission_s_times_tokens_a_row_and_utilisation() -> None:
    made = mission()
    ours = next(line.figure.value for line in made.times if line.name == "train")
    theirs = made.mission[-1].figure.value
    assert ours is not None
    assert theirs is not None
    trained_share = 199_980_000 / 200_000_000
    expected = theirs * trained_share * 52 * (3_212_749_824 / 3e9) * (156 / (312 * 0.45))
    assert ours == pytest.approx(expected, rel=1e-9)


def test_parameters_of_a_preset_are_exact() -> None:
    made = mission()
    assert made.parameters.value == 3_212_749_824
    assert made.parameters.basis.startswith("exact")


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    missing = "s3://corpus/*.parquet is not on this machine and has no maxRows; ingest counts its rows"
    unread = (SourceFacts(name="s3://corpus/*.parquet", missing=missing),)
    made = plan(spec(), facts(sources=unread), gpus())
    assert made.exchanges.value is None
    assert made.exchanges.basis == f"not known yet: {missing}"
    assert made.steps.value is None
    text = render(made)
    assert "train" in text
    assert "needs the number of exchanges" in text
    assert not made.mission


def test_one_source_of_unknown_size_leaves_every_sum_open() -> None:
    sources = (SourceFacts(name="known", exchanges=1000), SourceFacts(name="unknown", missing="unknown is elsewhere"))
    made = plan(spec(), facts(sources=sources), gpus())
    assert made.exchanges.basis == "not known yet: unknown is elsewhere"
    assert made.train_exchanges.value is None
    assert made.tokens.value is None


def test_a_model_that_was_not_fetched_yet_leaves_memory_and_time_open() -> None:
    hub = spec(model={"from": "hf://meta-llama/Llama-3.2-3B"})
    basis = "not known yet: the stage weights has not fetched hf://meta-llama/Llama-3.2-3B"
    made = plan(hub, facts(shape=None, shape_basis=basis), gpus())
    assert made.parameters.basis == basis
    assert made.memory == ()
    check(made)


def test_counted_tokens_replace_the_estimate() -> None:
    made = plan(spec(), facts(tokens=6_234_832_896, packs=3_100_000, sequence_length=2048), gpus())
    assert made.tokens.basis == "exact: counted by tokenize"
    assert made.batch_tokens.value == 524_288
    assert made.steps.value == 12_110  # ceil(3,100,000 packs / 256 packs a step), one epoch


def test_weights_of_sources_repeat_their_rows_in_an_epoch() -> None:
    sources = (
        SourceFacts(name="facts", weight=5, use="Train", exchanges=130),
        SourceFacts(name="chat", weight=0.1, use="Train", exchanges=1000),
        SourceFacts(name="golden", use="Test", exchanges=500),
    )
    made = plan(spec(), facts(sources=sources), laptop())
    assert made.train_exchanges.value == 5 * 130 + 100
    assert made.exchanges.value == 1630


def test_a_step_with_fewer_packs_than_devices_is_warned_about() -> None:
    small = spec(training={"batchTokens": 8192, "sequenceLength": 2048})
    assert any("raise training.batchTokens" in note for note in plan(small, facts(), gpus(8)).notes)


def test_a_model_that_fits_no_device_is_refused_with_what_to_change() -> None:
    made = plan(spec(), facts(), laptop())
    with pytest.raises(DoesNotFit, match=r"needs at least .* GB on each of 2 × CPU core, 7\.2 GB are usable"):
        check(made)


def test_a_workdir_without_room_for_the_checkpoints_is_refused_with_the_free_bytes() -> None:
    made = plan(spec(), facts(), gpus(free_bytes=50 * GB))
    with pytest.raises(DoesNotFit, match=r"50\.0 GB are free \(most: checkpoints, 115\.7 GB\)"):
        check(made)


def test_what_a_stopped_run_has_written_already_counts_as_room() -> None:
    machine = gpus(free_bytes=50 * GB, written_bytes=100 * GB)
    made = plan(spec(), facts(), machine)
    check(made)
    assert "50.0 GB are free, 100.0 GB are written already" in render(made)


def test_bytes_of_checkpoints_count_the_one_that_is_being_written() -> None:
    made = plan(spec(checkpoint={"keep": 3}), facts(), gpus())
    checkpoints = next(line.figure for line in made.disk if line.name == "checkpoints")
    assert checkpoints.value == 4 * 12 * 3_212_749_824


def test_lora_trains_and_saves_only_the_adapters() -> None:
    made = plan(spec(training={"lora": {"rank": 16}}), facts(), gpus(1))
    assert made.trainable.value == 24_313_856
    sizes = {line.name: line.figure.value for line in made.disk}
    assert sizes["checkpoints"] == 3 * 12 * 24_313_856
    assert sizes["candidates"] == 3 * 4 * 24_313_856


def test_lora_costs_two_thirds_of_the_time_of_all_weights() -> None:
    seconds = [
        next(line.figure.value for line in plan(spec(training=training), facts(), gpus()).times if line.name == "train")
        for training in ({}, {"lora": {"rank": 16}})
    ]
    assert seconds[1] == pytest.approx(seconds[0] * 2 / 3, rel=0.02)  # type: ignore[operator]


def test_preparing_rows_needs_no_model_and_shows_no_training() -> None:
    rows = spec(goal="PrepareData", model=None)
    text = render(plan(rows, facts(shape=None), laptop()))
    assert "memory of one" not in text
    assert "parameters" not in text
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")].count("train") == 0


def test_the_cost_names_its_price_and_where_it_is_from() -> None:
    made = plan(spec(), facts(), gpus(price_per_device_hour=2.0, price_basis="--price"))
    assert made.cost.value == pytest.approx(2.0 * (made.device_hours.value or 0))
    assert made.cost.basis == "2.00 USD an hour and device, --price"


def test_stages_say_whether_they_are_reused_and_why_not() -> None:
    lines = [
        StageLine(stage="weights", will="reused"),
        StageLine(stage="train", will="will run", because="training.learningRate changed"),
    ]
    text = render(plan(spec(), facts(), gpus(), stages=lines))
    assert re.search(r"^  weights +reused$", text.partition("\ntime\n")[2], re.MULTILINE)
    assert "  weights   reused\n  train     will run, because training.learningRate changed\n" in text


def test_a_plan_is_json_with_every_basis() -> None:
    written = json.loads(json.dumps(to_json(mission())))
    assert written["parameters"] == {"value": 3_212_749_824, "basis": "exact: preset llama-3.2-3b"}
    assert written["chosen"]["layout"] == {"devices": 32, "zeroStage": 1, "microBatch": 4, "checkpointing": False}


def test_equal_arguments_give_an_equal_plan() -> None:
    assert mission() == mission()


def test_facts_may_be_empty() -> None:
    text = render(plan(spec(), Facts(shape_basis="not known yet: nothing was read"), gpus()))
    assert "not known yet: nothing was read" in text


def test_lines_stay_readable() -> None:
    assert max(len(line) for line in render(mission()).splitlines()) <= 170


def test_a_tiny_model_fits_a_laptop() -> None:
    tiny = spec(
        model={"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 4096}}},
        training={"sequenceLength": 512, "batchTokens": 1024, "maxSteps": 100},
    )
    made = plan(tiny, facts(shape=shape("llama-tiny")), laptop())
    check(made)
    assert made.chosen is not None
    assert made.chosen.layout.zero_stage == 1
