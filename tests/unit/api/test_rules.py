"""Each rule is said twice, in CEL for the API server and in Python; here both are asked, and must agree."""

from __future__ import annotations

import functools
import itertools
import re
from typing import Any

import celpy
import pytest
from celpy.adapter import json_to_cel
from pydantic import TypeAdapter, ValidationError
from trainwright import api
from trainwright.api.rules import Rule, UpdateRule
from trainwright.api.scalars import (
    LABEL_KEY_PATTERN,
    LOCAL_PATTERN,
    NAME_PATTERN,
    QUANTITY_PATTERN,
    Annotations,
    Labels,
    Quantity,
)
from trainwright.api.schema import crd
from trainwright.api.walk import rules_of

RULES = {rule.id: rule for _, rule in rules_of(api.Spec) if isinstance(rule, Rule)}
UPDATE_RULES = {rule.id: rule for _, rule in rules_of(api.Spec) if isinstance(rule, UpdateRule)}

NAMED = {"workspace": {"claimName": "c"}}

# Rule → objects that keep it, objects that break it.
CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "scratch-one": ([{"preset": "llama-tiny"}, {"config": "./c"}], [{}, {"preset": "llama-tiny", "config": "./c"}]),
    "tokenizer-one": ([{"from": "./t"}, {"train": {}}], [{}, {"from": "./t", "train": {}}]),
    "model-one": ([{"from": "./m"}, {"scratch": {}}], [{}, {"from": "./m", "scratch": {}}]),
    "scratch-tokenizer": (
        [{}, {"from": "./m"}, {"scratch": {}, "tokenizer": {}}, {"scratch": {}, "from": "./m"}],
        [{"scratch": {}}],
    ),
    "columns-one": ([{"text": "t"}, {"prompt": "p"}], [{}, {"text": "t", "messages": "m"}, {"role": "r"}]),
    "columns-response": ([{}, {"prompt": "p", "response": "r"}], [{"prompt": "p"}, {"response": "r"}]),
    "columns-utterances": (
        [{}, {"conversation": "c", "role": "r", "content": "t"}],
        [{"conversation": "c"}, {"conversation": "c", "role": "r"}],
    ),
    "split-sum": (
        [{}, {"validation": 0.5}, {"validation": 0.5, "test": 0.5}, {"test": 0.99}],
        [{"validation": 1.0}, {"validation": 0.6, "test": 0.5}],
    ),
    "translate": ([{}, {"translateTo": "en", "translator": "./t"}], [{"translateTo": "en"}, {"translator": "./t"}]),
    "epochs-or-steps": ([{}, {"epochs": 1.0}, {"maxSteps": 1}], [{"epochs": 1.0, "maxSteps": 1}]),
    "batch-holds-sequence": (
        [{}, {"batchTokens": 128}, {"batchTokens": 512, "sequenceLength": 512}],
        [{"batchTokens": 256, "sequenceLength": 512}],
    ),
    "command-image": ([{}, {"command": ["x"], "image": "i", "code": "./c"}], [{"image": "i"}, {"code": "./c"}]),
    "command-lora": ([{}, {"lora": {}}, {"command": ["x"]}], [{"command": ["x"], "lora": {}}]),
    "gate-limit": ([{"metric": "loss", "min": 1.0}, {"metric": "loss", "max": 1.0}], [{"metric": "loss"}]),
    "gate-scale": (
        [{"metric": "loss", "max": 25.0}, {"metric": "bleu", "min": 0.25, "max": 1.0}, {"metric": "probes"}],
        [{"metric": "bleu", "min": 25.0}, {"metric": "rougeL", "max": 1.5}, {"metric": "probes", "min": -0.1}],
    ),
    "workspace-one": (
        [{}, {"claimName": "c"}, {"uri": "s3://a/b"}, {"storage": "1Gi", "storageClassName": "s"}],
        [{"claimName": "c", "uri": "s3://a/b"}, {"claimName": "c", "storageClassName": "s"}],
    ),
    "workspace-uri": ([{}, {"uri": "s3://a/b"}], [{"uri": "pvc://a/b"}]),
    "env-one": (
        [{"name": "A", "value": ""}, {"name": "A", "secretKeyRef": {}}],
        [{"name": "A"}, {"name": "A", "value": "b", "secretKeyRef": {}}],
    ),
    "env-reserved": ([{"name": "NCCL_DEBUG"}, {"name": "MY_PET_"}], [{"name": "PET_X"}, {"name": "TRAINWRIGHT_RUN"}]),
    "env-no-secret": (
        [
            {"name": "TOKENIZERS_PARALLELISM", "value": "0"},
            {"name": "HF_TOKEN", "secretKeyRef": {}},
            {"name": "NCCL_DEBUG", "value": "WARN"},
        ],
        [
            {"name": name, "value": "x"}
            for name in ("HF_TOKEN", "TOKEN_A", "MY_SECRET", "APIKEY", "API_KEY", "PASSWORDS")
        ],
    ),
    "goal-model": ([{"model": {}}, {"goal": "PrepareData"}], [{}, {"goal": "Evaluate"}]),
    "goal-prepare": (
        [{}, {"training": {}}, {"goal": "PrepareData"}, {"goal": "Train", "evaluation": {}}],
        [{"goal": "PrepareData", "training": {}}, {"goal": "PrepareData", "evaluation": {}}],
    ),
    "goal-evaluate": (
        [{}, {"goal": "Evaluate", "model": {"from": "./m"}}, {"goal": "Train", "model": {"scratch": {}}}],
        [{"goal": "Evaluate", "model": {"scratch": {}}}],
    ),
    "evaluate-training": (
        [
            {"training": {"epochs": 3.0}},
            {"goal": "Evaluate"},
            {"goal": "Evaluate", "training": {}},
            {
                "goal": "Evaluate",
                "training": {"sequenceLength": 64, "truncation": "Drop", "packing": True, "precision": "fp32"},
            },
        ],
        [{"goal": "Evaluate", "training": {name: 1}} for name in ("epochs", "seed", "lora", "command", "resumeFrom")],
    ),
    "ttl-output": (
        [
            {},
            {"ttlSecondsAfterFinished": 1, "output": {}},
            {"ttlSecondsAfterFinished": 1, "cluster": NAMED},
            {"ttlSecondsAfterFinished": 1, "cluster": {"workspace": {"uri": "s3://a/b"}}},
        ],
        [
            {"ttlSecondsAfterFinished": 0},
            {"ttlSecondsAfterFinished": 1, "cluster": {}},
            {"ttlSecondsAfterFinished": 1, "cluster": {"workspace": {"storage": "1Gi"}}},
        ],
    ),
    "prepare-lasts": (
        [{}, {"goal": "PrepareData", "output": {}}, {"goal": "PrepareData", "cluster": NAMED}],
        [{"goal": "PrepareData"}, {"goal": "PrepareData", "cluster": {"workspace": {}}}],
    ),
}

OLD = {"goal": "Train", "model": {"from": "./m"}, "data": {"sources": []}, "suspend": True, "cluster": {"nodes": 2}}

# Update rule → changes of OLD that keep it, changes that break it; None takes the field away.
CHANGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "goal-fixed": ([{}, {"cluster": {"nodes": 4}}], [{"goal": None}, {"goal": "Evaluate"}]),
    "model-fixed": ([{}, {"suspend": None}], [{"model": {"from": "./n"}}]),
    "data-fixed": ([{}], [{"data": {"sources": [], "onBadRows": "Skip"}}]),
    "vectorStore-fixed": ([{}], [{"vectorStore": {}}]),
    "training-fixed": ([{}], [{"training": {"epochs": 3.0}}]),
    "evaluation-fixed": ([{}], [{"evaluation": {}}]),
    "output-fixed": ([{}], [{"output": {"uri": "s3://a/b"}}]),
    "where-while-suspended": ([{}, {"cluster": {"nodes": 4}}, {"cluster": None, "suspend": None}], []),
    "workspace-fixed": ([{}, {"cluster": {"nodes": 4}}], [{"cluster": NAMED}]),
}


def member_presence() -> list[Any]:
    """Objects with every choice among the fields that a rule speaks of, whether they make sense or not."""
    values: dict[str, Any] = {
        "metric": "bleu",
        "name": "HF_TOKEN",
        "uri": "pvc://a/b",
        "goal": "Evaluate",
        "min": 2.0,
        "max": 0.5,
    }
    values |= {"validation": 0.7, "test": 0.7, "batchTokens": 128, "sequenceLength": 256, "training": {"seed": 1}}
    cases = []
    for rule in RULES.values():
        fields = sorted(set(re.findall(r"self\.([a-zA-Z]+)\b(?![.(])", rule.cel)))[:6]
        always = {"name": "HF_TOKEN", "metric": "bleu"}
        for chosen in itertools.product([False, True], repeat=len(fields)):
            present = {field: values.get(field, "x") for field, is_in in zip(fields, chosen, strict=True) if is_in}
            cases.append((rule.id, {**always, **present}))
    return cases


@functools.cache
def program(cel: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(cel))


def cel_holds(cel: str, **variables: Any) -> bool:
    return bool(program(cel).evaluate({name: json_to_cel(value) for name, value in variables.items()}))


def changed(change: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (OLD | change).items() if value is not None}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_cel_and_python_judge_the_cases_of_a_rule_alike(rule: Rule) -> None:
    kept, broken = CASES[rule.id]
    for value in kept:
        assert (rule.holds(value), cel_holds(rule.cel, self=value)) == (True, True), value
    for value in broken:
        assert (rule.holds(value), cel_holds(rule.cel, self=value)) == (False, False), value
    assert kept
    assert broken


def test_cel_and_python_agree_whichever_fields_are_there() -> None:
    for rule_id, value in member_presence():
        rule = RULES[rule_id]
        assert rule.holds(value) == cel_holds(rule.cel, self=value), (rule_id, value)


@pytest.mark.parametrize("rule", UPDATE_RULES.values(), ids=UPDATE_RULES)
def test_cel_and_python_judge_changes_alike(rule: UpdateRule) -> None:
    kept, broken = CHANGES[rule.id]
    for change in kept:
        assert (rule.holds(OLD, changed(change)), cel_holds(rule.cel, self=changed(change), oldSelf=OLD)) == (
            True,
            True,
        )
    for change in broken:
        assert (rule.holds(OLD, changed(change)), cel_holds(rule.cel, self=changed(change), oldSelf=OLD)) == (
            False,
            False,
        )


@pytest.mark.parametrize("suspend", [False, None])
def test_where_it_runs_cannot_change_while_it_runs(suspend: bool | None) -> None:
    old, new = changed({"suspend": suspend}), changed({"suspend": suspend, "cluster": {"nodes": 4}})
    rule = UPDATE_RULES["where-while-suspended"]
    assert not rule.holds(old, new)
    assert not cel_holds(rule.cel, self=new, oldSelf=old)
    assert [problem.rule for problem in api.problems_of_change(old, new)] == ["where-while-suspended"]


def test_how_a_run_is_treated_may_change_at_any_time() -> None:
    new = changed({"checkpoint": {"keep": 5}, "suspend": None, "activeDeadlineSeconds": 60, "backoffLimit": 0})
    assert api.problems_of_change(changed({"suspend": None}), new) == []


def test_the_order_of_lists_with_keys_is_no_change() -> None:
    gates = [{"metric": "loss", "max": 2.0}, {"metric": "bleu", "min": 0.1}]
    assert api.problems_of_change({"evaluation": {"gates": gates}}, {"evaluation": {"gates": gates[::-1]}}) == []
    sources = [{"uri": "./a"}, {"uri": "./b"}]
    assert api.problems_of_change({"data": {"sources": sources}}, {"data": {"sources": sources[::-1]}}) != []


@pytest.mark.parametrize("wrong", [3, "a", [], [3]])
def test_a_change_to_a_value_of_a_wrong_type_is_judged(wrong: object) -> None:
    old = changed({"evaluation": {"gates": [{"metric": "loss", "max": 2.0}]}, "suspend": None})
    for new in ({"cluster": wrong}, {"evaluation": wrong}, {"evaluation": {"gates": [wrong]}}):
        assert api.problems_of_change(old, changed({"suspend": None, **new})) != []


def test_every_rule_has_cases() -> None:
    assert CASES.keys() == RULES.keys()
    assert CHANGES.keys() == UPDATE_RULES.keys()


TEXTS = [
    *("", "a", "a-", "-a", "A", "a.b", "1", "8", "1.5Ti", "64GB", "500m", "-1", "1.", "a/b", "a b", "a\n", "a" * 41),
    *(
        "s3://b/p",
        "s3://",
        "s3:///p",
        "hf://a/b@c",
        "file:///a",
        "file://a",
        "./a",
        "../a",
        ".a",
        "/a",
        "https://h",
        "pkg://p/f",
    ),
    *("1h30m", "90s", "h", "30m1h", "x.y/z", "example.com/a_b", "ftp://a", "A_b", "é", "10m\n"),
]


def patterns(node: Any) -> set[str]:
    """All patterns of texts in the CRD."""
    found = set(re.findall(r"matches\('(.*?)'\)", node["rule"])) if isinstance(node, dict) and "rule" in node else set()
    members = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return found.union(*(patterns(member) for member in members))


def test_cel_and_python_read_each_pattern_alike() -> None:
    known = patterns(crd())
    assert len(known) > 10
    for pattern in known:
        expression = re.compile(pattern.replace("\\\\", "\\"))
        for text in TEXTS:
            # RE2's $ is the end of the text, Python's also stands before a last newline.
            is_python = expression.search(text) is not None if not text.endswith("\n") else None
            if is_python is not None:
                assert cel_holds(f"self.matches('{pattern}')", self=text) == is_python, (pattern, text)


def judges(kind: Any, value: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", [Quantity, Labels, Annotations])
def test_cel_and_python_judge_quantities_and_keys_of_maps_alike(kind: Any) -> None:
    (rule,) = TypeAdapter(kind).json_schema()["x-kubernetes-validations"]
    samples: list[Any] = [*TEXTS, 0, 8, -1, 2**62] if kind is Quantity else [{text: ""} for text in [*TEXTS, "k" * 318]]
    # Length is the schema's, and RE2's $ is the end of the text where Python's may be before a last newline.
    samples = [sample for sample in samples if "\n" not in str(sample) and "\\n" not in str(sample) and sample != ""]
    verdicts = {judges(kind, sample) for sample in samples}
    assert verdicts == {True, False}
    for sample in samples:
        assert cel_holds(rule["rule"], self=sample) == judges(kind, sample), sample


@pytest.mark.parametrize("pattern", [NAME_PATTERN, QUANTITY_PATTERN, LABEL_KEY_PATTERN, LOCAL_PATTERN])
def test_no_pattern_uses_what_re2_lacks(pattern: str) -> None:
    assert not re.search(r"\(\?[=!<]|\\[1-9]", pattern)
