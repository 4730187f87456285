"""Thousands of rows made from a few forms cost a bounded number of comparisons each."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from trainwright.prepare.duplicates import likeness
from trainwright.prepare.splitting import links

from tests.factories import conversation, rows_frame
from tests.unit.prepare.chat import filled_forms, with_typo
from tests.unit.prepare.preparing import ALL_OFF, prepare

ONLY = ALL_OFF | {"deduplicate": {"enabled": True}}
SPLIT = {"validation": 0.01, "test": 0.01}
Compared = Callable[[], int]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    """How many pairs of texts have been compared so far."""
    pairs = []
    overlap = likeness.overlap

    def counted(texts: pl.Series, side: int, left: likeness.Places, *others: object) -> likeness.Overlap:
        pairs.append(len(left))
        return overlap(texts, side, left, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(likeness, "overlap", counted)
    return lambda: sum(pairs)


def test_forms_with_running_numbers_stay_and_cost_two_comparisons_a_row(tmp_path: Path, compared: Compared) -> None:
    done = prepare(tmp_path, filled_forms(3_000, numbers=True), settings=ONLY, split=SPLIT)
    assert done.rows.height == 3_000
    assert compared() <= 2 * 3_000


def test_an_exchange_is_compared_with_a_bounded_number_of_evaluation_exchanges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    sources = ({"uri": "./source.jsonl"}, {"uri": "./test.jsonl", "use": "Test"})
    forms = filled_forms(1_200, numbers=False)
    rows = pl.concat([forms.head(600), forms.tail(600).with_columns(source=pl.lit("./test.jsonl"))])
    candidates = links._candidates

    def kept(*arguments: object) -> pl.DataFrame:
        found.append(candidates(*arguments))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(links, "_candidates", kept)
    done = prepare(tmp_path, rows, settings=ALL_OFF, sources=sources)
    assert done.report.counts["test"] == 600
    compared_with = pl.concat(pairs.group_by("place").len() for pairs in found)
    assert compared_with["len"].max() == links.MOST_COMPARED


def test_a_copy_among_thousands_of_one_form_is_still_cut(tmp_path: Path) -> None:
    forms = filled_forms(600, numbers=True).rows(named=True)
    secret = conversation(
        "Which chapter of volume 9999 describes the journey of the sailors around the southern cape?",
        "The journey of the sailors around the southern cape is described in chapter 8888 of volume 9999.",
        record=5_000,
        source="./test.jsonl",
    )
    sources = ({"uri": "./source.jsonl"}, {"uri": "./test.jsonl", "use": "Test"})
    evaluation = [row | {"source": "./test.jsonl"} for row in forms[:300]]
    copy = with_typo(secret, random.Random(2), record=6_000)
    done = prepare(tmp_path, rows_frame(secret, copy, *evaluation, *forms[300:]), settings=ALL_OFF, sources=sources)
    assert done.reasons == [(6_000, "split", "evaluation.near")]
