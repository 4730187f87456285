"""Fields that no stage acts on yet are named, whether a spec is resolved or not."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright import api, contract
from trainwright.api.field_table import field_table

SOURCES = {"sources": [{"uri": "./rows.jsonl"}]}


def spec(**groups: Any) -> api.Spec:
    return api.Spec.model_validate({"model": {"from": "./model"}, "data": SOURCES, **groups})


def prepared(**steps: Any) -> api.Spec:
    return spec(data={**SOURCES, "prepare": steps})


def test_an_ordinary_run_asks_for_nothing_that_is_not_built() -> None:
    made = spec(training={"lora": {}, "resumeFrom": "./step-9"}, data={**SOURCES, "audit": {"onViolation": "Fail"}})
    assert contract.unbuilt(made) == []
    assert contract.unbuilt(api.resolve(made)) == []


@pytest.mark.parametrize("path", contract.NOT_BUILT)
def test_what_is_not_built_is_a_field_of_the_spec(path: str) -> None:
    assert path in {row.path for row in field_table(api.Spec)}
    assert contract.NOT_BUILT[path]


@pytest.mark.parametrize("path", contract.NOT_BUILT)
def test_asking_for_what_is_not_built_is_noticed(path: str) -> None:
    value: Any = {
        "data.prepare.deduplicate.semantic": 0.95,
        "data.prepare.language.translateTo": "en",
        "data.audit.minRows": 5,
        "vectorStore.external": {"url": "http://weaviate:80"},
        "training.command": ["train.py"],
        "training.image": "registry/image:1",
    }.get(path)
    if value is None:
        is_share = path.startswith("data.audit.max") or path.endswith("threshold")
        value = True if path.endswith("enabled") else 0.5 if is_share else "./some"
    *groups, last = path.split(".")
    asked: dict[str, Any] = {"model": {"from": "./model"}, "data": dict(SOURCES)}
    group = asked
    for name in groups:
        group = group.setdefault(name, {})
    group[last] = value
    made = api.Spec.model_validate(asked)
    assert contract.unbuilt(made) == [path]
    assert contract.unbuilt(api.resolve(made)) == [path]


def test_settings_of_a_step_that_is_off_are_told() -> None:
    made = prepared(balance={"by": "source"}, clean={"enabled": False, "emoji": "Remove"}, rareWords={})
    assert api.without_effect(made) == ["data.prepare.clean.emoji", "data.prepare.balance.by"]
    store = spec(vectorStore={"enabled": False, "embedding": "./minilm"})
    assert api.without_effect(store) == ["vectorStore.embedding"]
    assert api.without_effect(prepared(balance={"enabled": True, "by": "source"})) == []


def test_writing_a_default_out_asks_for_nothing() -> None:
    made = prepared(
        rareWords={"enabled": False, "minCount": 9},
        balance={"enabled": False},
        deduplicate={"semantic": 0},
        offensive={"threshold": 0.8},
    )
    assert contract.unbuilt(made) == []
