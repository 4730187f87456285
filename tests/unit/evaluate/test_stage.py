"""The stage on a tiny model that knows its answers by heart."""

from __future__ import annotations

import json
import shutil

import pytest
from trainwright import evaluate
from trainwright.chat_template import ChatTemplate
from trainwright.errors import BadInput, QualityGate
from trainwright.evaluate.contenders import Contenders
from trainwright.evaluate.exchanges import sample
from trainwright.evaluate.judging import Interview, prompts
from trainwright.formats.rows import write_part
from trainwright.formats.tokens import TokenShards

from tests.factories import conversation, rows_frame
from tests.tiny_run import FACTS, STEPS, artifact, tiny_model, write_lines


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def damaged(tiny, tmp_path):
    return tiny.copy(tmp_path / "copy")


def test_a_model_that_learnt_its_answers_scores_one_and_shows_them_before_and_after(tiny, output):
    report = evaluate.run(tiny.config, tiny.inputs, output)
    assert report.metrics["result"]["split"] == "test"
    assert [report.metrics["result"][name] for name in ("bleu", "rouge1", "rouge2", "rougeL")] == [1.0] * 4
    assert report.metrics["before"]["bleu"] < 0.1
    assert report.metrics["result"]["loss"] < 0.1 < report.metrics["before"]["loss"]
    examples = json.loads((output / "examples.json").read_text("utf-8"))
    assert {(one["prompt"], one["reference"]) for one in examples} == set(FACTS)
    assert all(one["after"] == one["reference"] != one["before"] for one in examples)


def test_probes_are_asked_before_and_after(tiny, output):
    report = evaluate.run(tiny.config, tiny.inputs, output)
    mars, osaka = json.loads((output / "probes.json").read_text("utf-8"))
    assert mars["after"] == "Mars is red." and mars["met"] and mars["before"] != mars["after"]
    assert osaka["after"] == "Tokyo." and not osaka["met"]
    assert report.metrics["result"]["probes"] == 0.5


def test_two_evaluations_give_the_same_figures(tiny, output, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    first, second = (evaluate.run(tiny.config, tiny.inputs, folder) for folder in (output, again))
    assert first == second
    assert (output / "examples.json").read_bytes() == (again / "examples.json").read_bytes()


def test_prompt_ids_are_those_of_the_row_in_its_shard(tiny):
    template = ChatTemplate.load(tiny.inputs["tokenize"].folder)
    shards = TokenShards(tiny.inputs["tokenize"].folder / "validation")
    trained = {}
    for n in range(shards.pack_count):
        pack, start = shards.pack(n), 0
        for length, row in zip(pack.lengths, pack.rows, strict=True):
            ids, targets = pack.tokens[start : start + length].tolist(), pack.targets[start : start + length]
            trained[row] = ids[: int(targets.argmax())]
            start += int(length)
    exchanges = sample(tiny.inputs["prepare"].folder / "rows", "validation", 8, 42)
    interview = Interview(template=template, metrics=[], max_new_tokens=1, longest_prompt=64)
    assert sorted(prompts(interview, exchanges, [])) == sorted(trained.values())


def test_a_prompt_that_is_too_long_loses_its_oldest_exchange_and_keeps_the_system_turn(tiny):
    template = ChatTemplate.load(tiny.inputs["tokenize"].folder)
    turns = [("system", "S"), ("user", "old question"), ("assistant", "old answer"), ("user", "new")]
    messages = [{"role": role, "content": text} for role, text in turns]
    whole, short = template.prompt_ids(messages), template.prompt_ids([messages[0], messages[3]])
    exchange = type("Exchange", (), {"messages": messages, "tools": None})
    interview = Interview(template=template, metrics=[], max_new_tokens=1, longest_prompt=len(whole) - 1)
    assert prompts(interview, [exchange], []) == [short]


def test_the_winner_has_the_lowest_validation_loss_and_alone_meets_the_test_rows(damaged, output, monkeypatch):
    worse = damaged.candidate().with_name("step-200")
    shutil.copytree(damaged.candidate(), worse)
    tiny_model(259).save_pretrained(worse)
    train = damaged.inputs["train"]
    lines = [*json_lines(train.folder / "evaluations.jsonl"), {"step": 200, "loss": 5.5}]
    write_lines(train.folder / "evaluations.jsonl", lines)
    damaged.inputs["train"] = artifact(train.folder, "train", {**train.metrics, "kept": [STEPS, 200]})
    asked = []
    monkeypatch.setattr(
        Contenders,
        "loss",
        lambda self, step, split, loss=Contenders.loss: (asked.append((step, split)), loss(self, step, split))[1],
    )
    report = evaluate.run(damaged.config, damaged.inputs, output)
    assert [one["step"] for one in report.metrics["candidates"]] == [STEPS, 200]
    assert report.metrics["best"]["step"] == STEPS
    assert asked == [(STEPS, "test")]
    assert f"at step {STEPS}" in report.metrics["overfitting"]["message"]


def test_a_loss_that_is_not_a_number_never_wins(damaged, output):
    shutil.copytree(damaged.candidate(), damaged.candidate().with_name("step-200"))
    train = damaged.inputs["train"]
    with (train.folder / "evaluations.jsonl").open("a") as file:
        file.write('{"step": 200, "loss": NaN}\n')
    damaged.inputs["train"] = artifact(train.folder, "train", {**train.metrics, "kept": [STEPS, 200]})
    report = evaluate.run(damaged.config, damaged.inputs, output)
    assert report.metrics["best"]["step"] == STEPS
    assert "NaN" not in json.dumps(report.metrics)


def test_a_missed_gate_is_told_with_the_place_of_the_weights(tiny, output):
    config = tiny.with_spec(
        evaluation={"gates": [{"metric": "perplexity", "max": 1.0}, {"metric": "bleu", "min": 0.5}]}
    )
    with pytest.raises(QualityGate, match=r"perplexity is 1\.00\d, wanted at most 1") as caught:
        evaluate.run(config, tiny.inputs, output)
    assert str(tiny.candidate()) in caught.value.message
    assert json.loads((output / "figures.json").read_text())["result"]["bleu"] == 1.0
    assert (output / "examples.json").exists()


def test_gates_that_are_met_are_reported(tiny, output):
    config = tiny.with_spec(evaluation={"metrics": ["loss"], "gates": [{"metric": "rougeL", "min": 0.9}]})
    report = evaluate.run(config, tiny.inputs, output)
    assert report.metrics["gates"] == [{"metric": "rougeL", "min": 0.9, "max": None, "value": 1.0, "met": True}]
    assert "bleu" not in report.metrics["result"]


def test_only_the_wanted_metrics_are_computed(tiny, output):
    report = evaluate.run(tiny.with_spec(evaluation={"metrics": ["loss", "perplexity"]}), tiny.inputs, output)
    assert report.counts["validationAnswers"] == 0
    assert set(report.metrics["result"]) == {"split", "step", "loss", "perplexity", "probes"}


def test_without_test_rows_the_validation_rows_judge_and_the_result_says_so(damaged, output):
    shutil.rmtree(damaged.inputs["tokenize"].folder / "test")
    report = evaluate.run(damaged.config, damaged.inputs, output)
    assert report.metrics["result"]["split"] == "validation"
    assert "validation rows" in report.message


@pytest.fixture
def nothing_held_out(damaged):
    for split in ("validation", "test"):
        shutil.rmtree(damaged.inputs["tokenize"].folder / split)
    rows = damaged.inputs["prepare"].folder / "rows"
    write_part(rows_frame(*[conversation(*fact, record=n, split="train") for n, fact in enumerate(FACTS)]), rows, 0)
    (damaged.inputs["train"].folder / "evaluations.jsonl").unlink()
    return damaged


def test_without_held_out_rows_a_training_keeps_its_weights_and_says_that_nobody_judged_them(nothing_held_out, output):
    report = evaluate.run(nothing_held_out.config, nothing_held_out.inputs, output)
    assert report.metrics["best"]["step"] == STEPS
    assert report.metrics["result"]["split"] == "none" and report.metrics["result"]["loss"] is None
    assert report.metrics["result"]["probes"] == 0.5
    assert "no held-out row judged it" in report.message


def test_without_held_out_rows_a_gate_is_not_met(nothing_held_out, output):
    config = nothing_held_out.with_spec(evaluation={"gates": [{"metric": "loss", "max": 9.0}]})
    with pytest.raises(QualityGate, match="loss is not measured"):
        evaluate.run(config, nothing_held_out.inputs, output)


def test_an_evaluation_without_rows_has_nothing_to_judge_by(nothing_held_out, output):
    del nothing_held_out.inputs["train"]
    with pytest.raises(BadInput, match="nothing to judge by"):
        evaluate.run(nothing_held_out.with_spec(goal="Evaluate"), nothing_held_out.inputs, output)


def test_goal_evaluate_judges_the_model_itself(damaged, output):
    shutil.copytree(damaged.candidate(), damaged.inputs["weights"].folder / "model", dirs_exist_ok=True)
    config = damaged.with_spec(goal="Evaluate", training={"precision": "fp32", "sequenceLength": 64})
    del damaged.inputs["train"]
    report = evaluate.run(config, damaged.inputs, output)
    assert report.metrics["before"] is None
    assert report.metrics["result"]["bleu"] == 1.0
    examples = json.loads((output / "examples.json").read_text("utf-8"))
    assert all(one["before"] is None and one["after"] == one["reference"] for one in examples)


def test_goal_evaluate_with_test_rows_only_shows_them(damaged, output):
    rows = damaged.inputs["prepare"].folder / "rows"
    write_part(rows_frame(*[conversation(*fact, record=n, split="test") for n, fact in enumerate(FACTS)]), rows, 0)
    shutil.rmtree(damaged.inputs["tokenize"].folder / "validation")
    shutil.copytree(damaged.candidate(), damaged.inputs["weights"].folder / "model", dirs_exist_ok=True)
    config = damaged.with_spec(goal="Evaluate")
    del damaged.inputs["train"]
    report = evaluate.run(config, damaged.inputs, output)
    assert report.metrics["result"]["split"] == "test" and report.metrics["result"]["bleu"] == 1.0
    assert len(json.loads((output / "examples.json").read_text("utf-8"))) == len(FACTS)


def test_an_adapter_without_weights_is_refused(damaged, output):
    from safetensors.torch import save_file

    folder = damaged.candidate()
    (folder / "model.safetensors").unlink()
    save_file({}, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(BadInput, match="lacks 4 of 4 tensors"):
        evaluate.run(damaged.config, damaged.inputs, output)


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
