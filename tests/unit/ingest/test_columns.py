"""Columns and templates: what they read, and what they leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from trainwright.errors import BadInput, InvalidSpec
from trainwright.ingest.columns import column, names_in, text
from trainwright.ingest.records import Unfit

from tests.unit.ingest.conftest import Workshop


@pytest.mark.parametrize(
    ("template", "record", "expected"),
    [
        ("{a}\n\n{b}", {"a": "One.", "b": "Two."}, "One.\n\nTwo."),
        ("{a}\n\n{b}", {"a": "One.", "b": None}, "One."),
        ("{a}\n\n{b}", {"a": "One.", "b": ""}, "One."),
        ("{a}\n\n{b}", {"a": "One.", "b": " \n"}, "One."),
        ("{a}\n\n{b}", {"a": "One."}, "One."),
        ("{a}\n\n{b}", {"a": None, "b": "Two."}, "Two."),
        ("{a}\n\n{b}\n\n{c}", {"a": "One.", "c": "Three."}, "One.\n\nThree."),
        ("{a}{b}", {"a": None, "b": ""}, None),
        ("Price: {n}", {"n": 5}, "Price: 5"),
        ("Price: {n}", {"n": 0}, "Price: 0"),
        ("Price: {n}", {"n": 2.5}, "Price: 2.5"),
        ("Price: {n}", {"n": float("nan")}, None),
        ("Fresh: {n}", {"n": True}, "Fresh: true"),
        ("{{{a}}}", {"a": "x"}, "{x}"),
        ("{Topic Name}!", {"Topic Name": "stones"}, "stones!"),
        ("{meta.kind}", {"meta": {"kind": "deep"}}, "deep"),
        ("{a}", {"a": "None"}, "None"),
    ],
)
def test_a_template_writes_what_is_there_and_nothing_for_what_is_not(
    template: str, record: dict[str, Any], expected: str | None
) -> None:
    assert text(template)(record) == expected


@pytest.mark.parametrize("template", ["{a", "a}", "{}", "{a}{", "{a{b}}"])
def test_a_template_with_a_loose_brace_is_refused(template: str) -> None:
    with pytest.raises(InvalidSpec, match="brace without a column"):
        text(template)


def test_a_bare_column_must_hold_text() -> None:
    with pytest.raises(Unfit, match="answer is a number, not text"):
        text("answer")({"answer": 42})
    assert text("{answer}")({"answer": 42}) == "42"


def test_a_column_with_points_in_its_name_wins_over_a_path() -> None:
    assert column("a.b")({"a.b": 1, "a": {"b": 2}}) == 1
    assert column("a.b")({"a": {"b": 2}}) == 2
    assert column("a.b")({"a": 2}) is None


def test_names_of_columns_are_found_in_templates() -> None:
    assert names_in("{a}: {{x}} {b c}") == ["a", "b c"]
    assert names_in("a") == ["a"]


def test_no_input_leaves_the_same_prompt_whatever_form_it_has(workshop: Workshop, data: Callable[[str], str]) -> None:
    result = workshop.ingest(data("empty_inputs.jsonl"))
    prompts = [turns[0][1] for turns in result.conversations]
    assert prompts == [
        "Name a river in Egypt.",
        "Name a river in Egypt.",
        "Name a river in France.",
        "Translate to German.\n\nbread",
        "Which sea is salty?",
    ]
    assert result.facts[0]["dropped"] == {"emptyResponse": 2}
    assert result.report.counts["bad"] == 0


def test_a_column_that_first_comes_late_is_read_in_one_file_and_in_sixteen(
    workshop: Workshop, data: Callable[[str], str]
) -> None:
    columns = {
        "prompt": "question",
        "response": "answer",
        "history": "history",
        "system": "system",
        "keep": ["meta.reviewer"],
    }
    whole = workshop.ingest({"uri": data("late_keys.jsonl"), "columns": columns})
    from tests.unit.ingest.conftest import DATA

    lines = (DATA / "late_keys.jsonl").read_bytes().splitlines(keepends=True)
    for n in range(16):
        workshop.write(f"cut/{n:02d}.jsonl", b"".join(lines[n * 10 : n * 10 + 10]))
    cut = workshop.ingest({"uri": "./cut/*.jsonl", "columns": columns})
    for result in (whole, cut):
        rows = result.rows
        assert result.report.counts["exchanges"] == len(rows) == 160
        assert sum(row["messages"][0]["role"] == "system" for row in rows) == 40
        assert sum(len(row["messages"]) == 5 for row in rows) == 40
        assert sum(row["metadata"] is not None for row in rows) == 10


def test_a_column_that_no_row_has_is_an_error_with_the_columns_seen(
    workshop: Workshop, data: Callable[[str], str]
) -> None:
    columns = {"prompt": "question", "response": "answr", "history": "history"}
    with pytest.raises(BadInput, match="no row has the column 'answr'") as caught:
        workshop.ingest({"uri": data("late_keys.jsonl"), "columns": columns})
    assert "answer (from late_keys.jsonl, line 1 on)" in caught.value.hint
    assert "history (from late_keys.jsonl, line 121 on)" in caught.value.hint


def test_only_the_response_of_a_row_with_history_is_a_target(workshop: Workshop) -> None:
    record = {"q": "And you?", "a": "Fine.", "h": [["Hello", "Hi"], ["Who?", "Me."]]}
    columns = {"prompt": "q", "response": "a", "history": "h"}
    (row,) = workshop.ingest({"uri": workshop.write("a.jsonl", [record]), "columns": columns}).rows
    assert [(turn["role"], turn["train"]) for turn in row["messages"]] == [
        ("user", False),
        ("assistant", False),
        ("user", False),
        ("assistant", False),
        ("user", False),
        ("assistant", True),
    ]


def test_kept_columns_become_metadata_under_their_own_names_with_their_own_types(
    workshop: Workshop, data: Callable[[str], str]
) -> None:
    import json

    keep = ["id", "vector", "_id", "class", "Topic Name", "score", "when"]
    columns = {"prompt": "question", "response": "answer", "keep": keep}
    rows = workshop.ingest({"uri": data("reserved_columns.jsonl"), "columns": columns}).rows
    metadata = [json.loads(row["metadata"]) for row in rows]
    assert len(rows) == 20
    assert metadata[0] == {
        "id": 1,
        "vector": [0.1, 0.2],
        "_id": "x1",
        "class": "stone",
        "Topic Name": "geology",
        "score": 0.5,
        "when": "2024-01-02",
    }
    assert (metadata[1]["score"], metadata[1]["when"]) == ("n/a", None)


def test_group_rating_and_tools_come_along_and_other_columns_do_not(workshop: Workshop) -> None:
    records = [
        {"q": "A?", "a": "B.", "user": 7, "stars": "4.5", "f": '[{"name": "x"}]', "secret": "s"},
        {"q": "C?", "a": "D.", "user": "", "stars": "none", "f": None},
    ]
    columns = {"prompt": "q", "response": "a", "group": "user", "rating": "stars", "tools": "f"}
    first, second = workshop.ingest({"uri": workshop.write("a.jsonl", records), "columns": columns}).rows
    assert (first["group"], first["rating"], first["tools"], first["metadata"]) == ("7", 4.5, '[{"name":"x"}]', None)
    assert (second["group"], second["rating"], second["tools"]) == (None, None, None)
    assert first["weight"] == 1.0


def test_bad_values_beside_the_text_make_bad_rows(workshop: Workshop) -> None:
    records = [{"q": "A?", "a": "B.", "t": "{not json"}, {"q": "A?", "a": "B.", "g": [1]}]
    columns = {"prompt": "q", "response": "a", "group": "g", "tools": "t"}
    result = workshop.ingest(
        {"uri": workshop.write("a.jsonl", [*records, {"q": "A?", "a": "B."}]), "columns": columns}, maxBadShare=1.0
    )
    assert [bad["reason"].split(":")[0] for bad in result.bad] == [
        "the tools is text that is no JSON",
        "the group is a list or an object",
    ]
