"""Literal defaults are filled in once, so that specs that mean the same have the same keys."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright import api, artifacts, contract

SOURCES = {"sources": [{"uri": "./rows.jsonl"}]}


def spec(**groups: Any) -> api.Spec:
    return api.Spec.model_validate({"model": {"from": "./model"}, "data": SOURCES, **groups})


def scratch(**training: Any) -> api.Spec:
    model = {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 4096}}}
    return spec(model=model, training=training)


def dumped(made: api.Spec) -> Any:
    return api.resolve(made).model_dump(by_alias=True, mode="json")


@pytest.mark.parametrize(
    ("made", "objective", "rate", "epochs"),
    [
        (spec(), "Finetune", 2e-5, 3),
        (spec(training={"lora": {}}), "Finetune", 2e-4, 3),
        (scratch(), "Pretrain", 3e-4, 1),
        (scratch(lora={}), "Pretrain", 3e-4, 1),
        (scratch(objective="Finetune"), "Finetune", 3e-4, 3),
        (spec(training={"objective": "Pretrain"}), "Pretrain", 2e-5, 1),
        (spec(training={"learningRate": 1e-3, "epochs": 0.5}), "Finetune", 1e-3, 0.5),
        (spec(training={"maxSteps": 100}), "Finetune", 2e-5, None),
    ],
)
def test_what_is_absent_has_the_published_default(
    made: api.Spec, objective: str, rate: float, epochs: float | None
) -> None:
    assert (made.objective, made.peak_learning_rate, made.epochs) == (objective, rate, epochs)
    resolved = api.resolve(made).training
    assert (resolved.objective, resolved.learning_rate, resolved.epochs) == (objective, rate, epochs)


def test_resolving_twice_changes_nothing() -> None:
    for made in (spec(), scratch(), spec(training={"maxSteps": 5})):
        assert api.resolve(api.resolve(made)) == api.resolve(made)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (spec(), spec(goal="Train", training={}, evaluation={}, vectorStore={"enabled": True})),
        (spec(), spec(training={"objective": "Finetune", "epochs": 3, "learningRate": 2e-5, "warmup": 0.03})),
        (spec(training={"epochs": 3}), spec(training={"epochs": 3.0, "earlyStopping": None})),
        (spec(), spec(data={**SOURCES, "prepare": {"language": {"keep": []}, "balance": {"enabled": False}}})),
        (spec(), spec(data={"sources": [{"uri": "./rows.jsonl", "weight": 1}]})),
        (scratch(), scratch(objective="Pretrain", epochs=1, learningRate=3e-4)),
    ],
)
def test_specs_that_mean_the_same_dump_equally(short: api.Spec, long: api.Spec) -> None:
    assert dumped(short) == dumped(long)


def test_a_default_that_depends_on_data_or_model_stays_open() -> None:
    training = api.resolve(spec()).training
    assert training.batch_tokens is None
    assert training.sequence_length is None


def values(prefix: str, model: Any) -> list[str]:
    """Every plain field of a spec as users write it, `[]` behind a list of groups."""
    from trainwright.api.walk import fields

    found = []
    for name, inner in fields(model).items():
        path = f"{prefix}{name}"
        if inner is None:
            found.append(path)
        else:
            is_list = path in {"data.sources", "evaluation.gates", "evaluation.probes"}
            found += values(f"{path}{'[]' if is_list else ''}.", inner)
    return found


WHAT = [path for path in values("", api.Spec) if path.split(".")[0].removesuffix("[]") in api.FIXED]


def stages_of_field(path: str) -> set[str]:
    return {
        stage.name
        for stage in contract.STAGES
        for field in stage.fields
        if f"{path}.".startswith((f"{field}.", f"{field}[]."))
    }


def test_what_is_made_is_in_the_key_of_a_stage() -> None:
    assert len(WHAT) > 80
    assert [path for path in WHAT if not stages_of_field(path)] == ["output.uri"]


def test_every_field_in_a_key_is_a_field_of_the_spec() -> None:
    for stage in contract.STAGES:
        for field in stage.fields:
            assert any(f"{path}.".startswith((f"{field}.", f"{field}[].")) for path in WHAT), (stage.name, field)


@pytest.mark.parametrize("path", ["evaluation.gates[].min", "evaluation.probes[].prompt", "evaluation.metrics"])
def test_how_the_result_is_judged_trains_nothing_again(path: str) -> None:
    assert stages_of_field(path) == {"evaluate"}


@pytest.mark.parametrize(
    ("groups", "changed"),
    [
        ({"evaluation": {"gates": [{"metric": "loss", "max": 2}]}}, {"evaluate"}),
        ({"training": {"learningRate": 1e-4}}, {"train"}),
        ({"training": {"sequenceLength": 128}}, {"tokenize"}),
        ({"data": {**SOURCES, "split": {"test": 0.1}}}, {"prepare"}),
        ({"data": {"sources": [{"uri": "./rows.jsonl", "license": "MIT"}]}}, {"export"}),
        ({"data": {"sources": [{"uri": "./rows.jsonl", "weight": 2}]}}, {"tokenize"}),
        ({"model": {"from": "./other"}}, {"weights"}),
        ({"vectorStore": {"embedding": "./minilm"}}, {"index"}),
        ({"output": {"uri": "s3://a/b"}}, set()),
        ({"cluster": {"nodes": 8}}, set()),
        ({"checkpoint": {"keep": 5}}, set()),
        ({"suspend": True, "activeDeadlineSeconds": 5}, set()),
    ],
)
def test_a_change_touches_the_stages_it_concerns(groups: dict[str, Any], changed: set[str]) -> None:
    before, after = dumped(spec()), dumped(spec(**groups))
    different = {
        stage.name
        for stage in contract.STAGES
        if artifacts.projection(before, stage.fields) != artifacts.projection(after, stage.fields)
    }
    assert different == changed
