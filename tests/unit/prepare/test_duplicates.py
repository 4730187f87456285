"""deduplicate: copies go, what only looks alike stays, and the better of two stays."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from trainwright.errors import DataAudit
from trainwright.formats.rows import FLAG_DUPLICATE
from trainwright.prepare.duplicates.ranking import losers

from tests.factories import conversation, rows_frame
from tests.unit.prepare.chat import WORDS, chat, sentence, tool_calls, with_typo
from tests.unit.prepare.preparing import ALL_OFF, Prepared, prepare

ONLY = ALL_OFF | {"deduplicate": {"enabled": True}}


def deduplicated(folder: Path, rows: pl.DataFrame, **settings: object) -> Prepared:
    return prepare(folder, rows, settings=ONLY | {"deduplicate": {"enabled": True, **settings}})


def test_texts_that_differ_in_case_and_punctuation_are_equal(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation("How are you?", "Fine, thank you.", record=1),
        conversation("how are you", "FINE THANK YOU", record=2),
        conversation("How are you?", "Fine.", record=3),
        conversation("Hi", "😀", record=4),
        conversation("Hi", "😂", record=5),
        conversation("What is 2-2?", "0", record=6),
        conversation("What is 2+2?", "4", record=7),
    )
    done = deduplicated(tmp_path, rows)
    assert done.reasons == [(2, "deduplicate", "exact")]


def test_copies_with_one_typo_go(tmp_path: Path) -> None:
    draw = random.Random(1)
    originals = chat(300)
    copies = [with_typo(row, draw, record=1000 + n) for n, row in enumerate(originals)]
    done = deduplicated(tmp_path, rows_frame(*originals, *copies))
    taken = [record % 1000 for record, _, reason in done.reasons if reason == "near"]
    assert len(taken) == len(set(taken)) >= 0.98 * 300
    assert done.rows.height == 600 - len(taken)


def test_rows_that_share_a_long_form_stay(tmp_path: Path) -> None:
    done = deduplicated(tmp_path, tool_calls(300))
    assert done.rows.height >= 299
    assert not done.report.metrics["warnings"]


def test_rows_that_share_a_long_form_and_differ_in_words_only_stay(tmp_path: Path) -> None:
    draw = random.Random(9)
    form = sentence(draw, 60)
    rows = [
        conversation(
            f"{form} Now {sentence(draw, 6)}",
            f"<call> send what={draw.choice(WORDS)} to={draw.choice(WORDS)}",
            record=n,
        )
        for n in range(200)
    ]
    assert deduplicated(tmp_path, rows_frame(*rows)).rows.height >= 195


def test_copies_in_a_source_with_a_long_form_are_still_found(tmp_path: Path) -> None:
    rows = tool_calls(200)
    spelled = pl.col("messages").list.eval(
        pl.element().struct.with_fields(content=pl.field("content").str.replace("please", "pleese"))
    )
    copies = rows.with_columns(spelled, id=pl.col("id").bin.slice(8, 8) + pl.col("id").bin.slice(0, 8))
    done = deduplicated(tmp_path, pl.concat([rows, copies.head(50)]).sort("id"))
    assert 45 <= len(done.reasons) <= 51


def test_other_numbers_are_other_facts(tmp_path: Path) -> None:
    asked = "There are {n} apples on the first table and {n} apples on the other; how many apples are on both together?"
    said = "On both tables together there are {m} apples, because the number of apples is simply counted twice."
    rows = [conversation(asked.format(n=n), said.format(m=2 * n), record=n) for n in range(10, 40)]
    assert not deduplicated(tmp_path, rows_frame(*rows)).reasons


def test_the_better_rated_then_the_longer_response_stays(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation("Where is Bern?", "In Switzerland!!!", record=1, rating=1.0),
        conversation("Where is Bern?", "In Switzerland", record=2, rating=2.0),
        conversation("Who are you?", "A friend", record=3),
        conversation("Who are you?", "A friend...", record=4),
    )
    assert sorted(deduplicated(tmp_path, rows).rows["record"]) == [2, 4]


def test_a_duplicate_turn_in_a_conversation_loses_its_loss_and_stays(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation("Where is Bern?", "In Switzerland.", record=1),
        conversation("Hello!", "Good day to you.", "Where is Bern?", "in switzerland", "Thanks.", "Welcome.", record=2),
        conversation("Where is Bern?", "in switzerland", record=3),
    )
    done = deduplicated(tmp_path, rows)
    assert sorted(done.rows["record"]) == [1, 2]
    turns = done.rows.filter(pl.col("record") == 2)["messages"][0]
    assert turns.struct.field("train").to_list() == [False, True, False, False, False, True]
    assert turns.struct.field("flags")[3] == FLAG_DUPLICATE
    assert done.step("deduplicate")["reasons"] == {"exact": 1}
    assert done.report.counts["withoutLoss"] == 1


def test_system_turns_are_no_part_of_an_exchange(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation(("system", "Be brief."), ("user", "Where is Bern?"), ("assistant", "In Switzerland."), record=1),
        conversation(("system", "Be long."), ("user", "Where is Bern?"), ("assistant", "In Switzerland."), record=2),
        conversation(("system", "a long text " * 50), ("assistant", "One answer of eight words is here."), record=3),
        conversation(("system", "another text"), ("assistant", "One answer of eight words is here"), record=4),
    )
    assert deduplicated(tmp_path, rows).rows.height == 2


def test_neighbouring_exchanges_of_one_conversation_are_not_alike(tmp_path: Path) -> None:
    draw = random.Random(2)
    turns = [sentence(draw, 10) for _ in range(12)]
    pairs = [conversation(asked, said, record=n) for n, (asked, said) in enumerate(pairwise(turns))]
    assert not deduplicated(tmp_path, rows_frame(*pairs)).reasons


def test_near_zero_means_exact_only(tmp_path: Path) -> None:
    draw = random.Random(3)
    originals = chat(20)
    rows = rows_frame(*originals, *(with_typo(row, draw, record=100 + n) for n, row in enumerate(originals)))
    assert not deduplicated(tmp_path, rows, near=0).reasons


def test_evaluation_rows_neither_go_nor_take_training_rows_with_them(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation("Where is Bern?", "In Switzerland.", record=1, source="./test.jsonl", rating=5.0),
        conversation("Where is Bern?", "in switzerland", record=2, source="./test.jsonl"),
        conversation("Where is Bern?", "In Switzerland", record=103),
        conversation("Where is Bern?", "In Switzerland.", record=104),
        *chat(5),
    )
    sources = ({"uri": "./source.jsonl"}, {"uri": "./test.jsonl", "use": "Test"})
    done = prepare(tmp_path, rows, settings=ONLY, sources=sources)
    assert done.report.counts["test"] == 2
    assert done.step("deduplicate")["spared"] == {"exact": 1}
    assert done.reasons == [(103, "deduplicate", "exact")]


def test_a_source_that_near_duplicates_eat_is_named(tmp_path: Path) -> None:
    parts = [
        conversation(
            f"{sentence(random.Random(n), 30)}", f"{sentence(random.Random(n), 30)} {word}", record=1000 + 10 * n + k
        )
        for n in range(30)
        for k, word in enumerate(WORDS[:5])
    ]
    done = deduplicated(tmp_path, rows_frame(*parts))
    assert len(done.report.metrics["warnings"]) == 1
    with pytest.raises(DataAudit, match="near duplicates took"):
        prepare(tmp_path, rows_frame(*parts), settings=ONLY, name="strict", data={"audit": {"onViolation": "Fail"}})


def test_an_exchange_goes_for_one_that_stays_never_along_a_chain() -> None:
    better, worse = np.array([0, 1, 2]), np.array([1, 2, 3])
    assert losers(better, worse, 5).tolist() == [False, True, False, True, False]
