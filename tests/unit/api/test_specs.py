"""The table of specs that the API server is held to, judged by `trainwright validate --cluster` alone."""

from __future__ import annotations

import json

import pytest
from trainwright import api
from trainwright.api.walk import rules_of

from tests.controlplane.crd import specs
from tests.controlplane.crd.changes import CHANGES
from tests.controlplane.crd.refused import REFUSED, RULES
from tests.controlplane.crd.specs import Change, Refused, merged, read, run_of, spec_of


def problems(spec: object, name: str = "run") -> list[api.Problem]:
    return api.problems(json.dumps(run_of(spec, name=name)), cluster=True)


def problems_of_change(change: Change) -> list[api.Problem]:
    before = spec_of(change.before)
    after = merged(before, read(change.text))
    return [*problems(after), *api.problems_of_change(before, after)]


@pytest.mark.parametrize("text", specs.ACCEPTED, ids=lambda text: text[:60])
def test_a_good_spec_is_accepted(text: str) -> None:
    assert problems(spec_of(text)) == []


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.text[:60])
def test_a_bad_spec_is_refused_at_the_field_at_fault(row: Refused) -> None:
    assert f"spec.{row.field}".removesuffix(".") in [problem.field for problem in problems(spec_of(row.text))]


@pytest.mark.parametrize("row", RULES, ids=lambda row: row.text[:60])
def test_a_rule_is_told_in_the_words_of_the_api_server(row: Refused) -> None:
    told = " ".join(problem.message for problem in problems(spec_of(row.text)))
    assert row.says in told or (row.says, "stands twice" in told) == ("Duplicate value", True)


@pytest.mark.parametrize("text", specs.EMPTY)
def test_a_name_without_a_value_is_refused(text: str) -> None:
    assert [problem.rule for problem in problems(read(f"{specs.BASE}{text}\n"))] == ["empty"]


def test_names_are_judged_by_letters_and_length() -> None:
    assert [name for name in specs.GOOD_NAMES if problems(spec_of(""), name)] == []
    for name in specs.BAD_NAMES:
        assert [problem.rule for problem in problems(spec_of(""), name)] == ["name"]


@pytest.mark.parametrize("change", CHANGES, ids=lambda row: f"{row.before[:30]} | {row.text[:40]}")
def test_a_change_has_its_verdict(change: Change) -> None:
    fields = [problem.field for problem in problems_of_change(change)]
    assert fields == [] if not change.says else f"spec.{change.field}" in fields


def test_every_rule_refuses_something_in_the_table() -> None:
    broken = {problem.rule for row in REFUSED for problem in problems(spec_of(row.text))}
    broken |= {problem.rule for change in CHANGES for problem in problems_of_change(change)}
    assert {rule.id for _, rule in rules_of(api.Spec)} <= broken


def test_the_table_is_long() -> None:
    assert len(specs.ACCEPTED) + len(REFUSED) >= 250
    assert len(CHANGES) >= 40
