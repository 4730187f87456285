"""Whatever a file holds, it is judged with problems and never with a traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trainwright import api
from trainwright.api.rules import ApiModel
from trainwright.api.walk import fields
from trainwright.api.yaml_loader import read_documents

ROOT = Path(__file__).parents[3]
STORIES = [file.read_text("utf-8") for file in sorted((ROOT / "tests/data/api/stories").glob("*.yaml"))]
QUICK = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

GROUPS: list[type[ApiModel]] = [api.Spec, *(group for group in fields(api.Spec).values() if group is not None)]
NAMES = sorted({name for group in GROUPS for name in fields(group)})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abz AZ09.-_/:{}[]#&*!|>%@`'\"\\éß漢🙂", max_size=20),
    st.sampled_from(["s3://a/b", "./x", "1h", "8Gi", "Train", "Evaluate", "loss"]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text("abz09.- é", max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def assert_judged(text: str) -> None:
    for cluster in (False, True):
        for problem in api.problems(text, cluster=cluster):
            assert problem.message
            assert str(problem).isprintable()
            assert 1 <= problem.line <= text.count("\n") + text.count("\r") + 2


@QUICK
@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    assert_judged(text)


@QUICK
@given(st.text(alphabet="abc:-[]{}&*!|>'\"#%@`,?<=~ \n\t0x1.e", max_size=80))
def test_any_marks_of_yaml_are_judged(text: str) -> None:
    assert_judged(f"kind: TrainingRun\n{text}")


@QUICK
@given(st.integers(0, 10**9))
def test_any_damage_to_a_story_is_judged(seed: int) -> None:
    chance = random.Random(seed)
    text = chance.choice(STORIES)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text))
        length = chance.randrange(6)
        put = "".join(chance.choice("{}[]:,-#'\"\n a1.~&*") for _ in range(chance.randrange(4)))
        text = text[:place] + put + text[place + length :]
    assert_judged(text)


@QUICK
@given(JSON)
def test_any_spec_is_judged(spec: Any) -> None:
    run = {"apiVersion": api.API_VERSION, "kind": api.KIND, "metadata": {"name": "run"}, "spec": spec}
    assert_judged(json.dumps(run))
    api.problems_of_object(run)


@QUICK
@given(JSON)
def test_json_is_read_as_it_is_written(value: Any) -> None:
    """kubectl takes JSON, too: YAML in flow style with quoted text."""
    (document,) = read_documents(json.dumps({"value": value}, ensure_ascii=False))
    assert document.value == {"value": json.loads(json.dumps(value), parse_float=_as_kubectl)}


@QUICK
@given(JSON)
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    text = yaml.safe_dump({"value": value}, allow_unicode=True)
    assert read_documents(text)


def _as_kubectl(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
