"""Lists of messages: roles, system turns, content parts, tool calls, targets, long conversations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from trainwright.ingest.limits import LIMITS

from tests.unit.ingest.conftest import DATA, Workshop

ALL_BAD = {"maxBadShare": 1.0}


def chat(*turns: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def test_system_turns_are_kept_where_they_stand(workshop: Workshop, data: Callable[[str], str]) -> None:
    rows = workshop.ingest(data("system_turns.jsonl")).rows
    systems = [
        [(n, turn["content"][:10], turn["train"]) for n, turn in enumerate(row["messages"]) if turn["role"] == "system"]
        for row in rows
    ]
    assert systems == [[(0, "SYS-ONE Re", False)], [(2, "SYS-MID Fr", False)], [(0, "SYS-COLUMN", False)], []]


def test_text_parts_are_joined_and_rows_with_pictures_or_sound_are_bad(
    workshop: Workshop, data: Callable[[str], str]
) -> None:
    result = workshop.ingest(data("content_parts.jsonl"), **ALL_BAD)
    assert result.conversations == [
        [("user", "PLAIN What is a noun?"), ("assistant", "A word that names a thing.")],
        [("user", "PARTS What is a verb?"), ("assistant", "A word for an action.")],
    ]
    assert [(bad["line"], bad["code"]) for bad in result.bad] == [(3, "notText"), (4, "notText")]
    assert result.facts[0]["dropped"] == {"emptyPrompt": 1}


def test_tool_calls_and_schemas_are_equal_to_the_source(workshop: Workshop, data: Callable[[str], str]) -> None:
    rows = workshop.ingest(data("tool_calls.jsonl")).rows
    source = [json.loads(line) for line in (DATA / "tool_calls.jsonl").read_text().split("\n") if line]
    assert [json.loads(row["tools"]) for row in rows] == [record["tools"] for record in source]
    calls = [
        [json.loads(turn["toolCalls"])[0]["function"]["arguments"] for turn in row["messages"] if turn["toolCalls"]]
        for row in rows
    ]
    assert calls[:2] == [[{"time": "06:00"}], [{"time": 1700000000, "label": None}]]
    assert calls[3] == [{}]
    assert [turn["toolCallId"] for turn in rows[0]["messages"]] == [None, None, "c1", None]
    assert [turn["train"] for turn in rows[0]["messages"]] == [False, True, False, True]


def test_function_calls_of_share_style_become_tool_calls(workshop: Workshop) -> None:
    record = {
        "conversations": [
            {"from": "human", "value": "Ping."},
            {"from": "function_call", "value": '{"name": "ping", "arguments": {"n": 1}}'},
            {"from": "observation", "value": "pong"},
            {"from": "gpt", "value": "It answered."},
        ]
    }
    (row,) = workshop.ingest(workshop.write("a.jsonl", [record])).rows
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(row["messages"][1]["toolCalls"]) == [
        {"type": "function", "function": {"name": "ping", "arguments": {"n": 1}}}
    ]


def test_arguments_that_are_no_json_stay_as_they_are(workshop: Workshop) -> None:
    call = {"type": "function", "function": {"name": "say", "arguments": "hello {"}}
    record = {
        "messages": [{"role": "user", "content": "Say."}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    }
    (row,) = workshop.ingest(workshop.write("a.jsonl", [record])).rows
    assert json.loads(row["messages"][1]["toolCalls"]) == [call]


def test_roles_have_names_of_their_own_by_the_spec(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", [chat(("kunde", "Hilfe!"), ("agent", "Gern."), ("kunde", "Danke."))])
    columns = {"messages": "messages", "roles": {"kunde": "user", "agent": "assistant"}}
    assert workshop.ingest({"uri": uri, "columns": columns}).conversations == [
        [("user", "Hilfe!"), ("assistant", "Gern."), ("user", "Danke.")]
    ]


def test_a_role_that_nobody_knows_beside_known_ones_is_a_bad_row_with_its_name(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", [chat(("user", "Hi"), ("narrator", "He waits."), ("assistant", "Hello"))])
    with pytest.raises(Exception, match="the role 'narrator' stands beside 'assistant'"):
        workshop.ingest(uri)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("hello", "no JSON"),
        (5, "the messages are no list"),
        ([{"role": "user"}], "a message has no content: its keys are role"),
        ([{"content": "x"}], "a message has no role: its keys are content"),
        ([5], "a message is no object"),
        (["a", {"role": "user", "content": "b"}], "partly text, partly objects"),
        ([{"role": "user", "content": 5}], "the content of a message is a number, not text"),
        ([{"role": ["user"], "content": "x"}, {"role": "assistant", "content": "y"}], "stands beside 'assistant'"),
    ],
)
def test_what_is_no_conversation_is_a_bad_row(workshop: Workshop, messages: Any, reason: str) -> None:
    records = [{"messages": messages}, chat(("user", "Hi"), ("assistant", "Hello"))]
    result = workshop.ingest(workshop.write("a.jsonl", records), **ALL_BAD)
    assert [bad["line"] for bad in result.bad] == [1]
    assert reason in result.bad[0]["reason"]
    assert len(result.rows) == 1


@pytest.mark.parametrize(
    ("turns", "targets"),
    [
        ([("user", "Hi"), ("assistant", "Hello"), ("user", "?"), ("assistant", "  ")], [False, True, False, False]),
        ([("user", " "), ("assistant", "Hello"), ("user", "?"), ("assistant", "Yes")], [False, False, False, True]),
        ([("assistant", "Welcome"), ("user", "Hi")], [True, False]),
        ([("user", "Hi"), ("assistant", "Hello"), ("assistant", "there")], [False, True, True]),
    ],
)
def test_assistant_turns_that_say_something_to_something_are_targets(
    workshop: Workshop, turns: list[tuple[str, str]], targets: list[bool]
) -> None:
    result = workshop.ingest(workshop.write("a.jsonl", [chat(*turns)]))
    assert [turn["train"] for turn in result.rows[0]["messages"]] == targets
    assert result.report.counts["exchanges"] == sum(targets)


def test_a_message_of_weight_nought_is_no_target(workshop: Workshop) -> None:
    record = chat(("user", "Hi"), ("assistant", "No!"), ("user", "Again"), ("assistant", "Hello"))
    record["messages"][1]["weight"] = 0
    (row,) = workshop.ingest(workshop.write("a.jsonl", [record])).rows
    assert [turn["train"] for turn in row["messages"]] == [False, False, False, True]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (chat(("user", "Hi"), ("assistant", None)), "emptyResponse"),
        (chat(("user", "Hi")), "emptyResponse"),
        (chat(("user", ""), ("assistant", "Hello")), "emptyPrompt"),
        ({"messages": []}, "emptyConversation"),
        ({"messages": None}, "emptyConversation"),
        ({"text": "\n"}, "emptyText"),
        ({"prompt": "x", "response": " "}, "emptyResponse"),
        ({"prompt": None, "response": "x"}, "emptyPrompt"),
    ],
)
def test_what_has_nothing_to_learn_from_is_dropped_and_counted(
    workshop: Workshop, record: dict[str, Any], code: str
) -> None:
    good = chat(("user", "Hi"), ("assistant", "Hello"))
    result = workshop.ingest(workshop.write("a.jsonl", [record, good]), maxBadShare=0)
    assert result.facts[0]["dropped"] == {code: 1}
    assert len(result.rows) == 1


def test_a_long_conversation_becomes_segments_of_one_group_that_begin_with_the_system_turn(workshop: Workshop) -> None:
    turns = [("system", "Be kind.")] + [(("user", "assistant")[n % 2], f"turn {n}") for n in range(20)]
    result = workshop.ingest(workshop.write("a.jsonl", [chat(*turns)]), limits=replace(LIMITS, turns=8))
    rows = result.rows
    assert all(row["messages"][0]["content"] == "Be kind." for row in rows)
    assert all(row["messages"][1]["role"] == "user" and len(row["messages"]) <= 8 for row in rows)
    said = sorted((t["content"] for row in rows for t in row["messages"][1:]), key=lambda text: int(text[5:]))
    assert said == [f"turn {n}" for n in range(20)]
    assert len({row["group"] for row in rows}) == 1
    assert rows[0]["group"] is not None
    assert len({row["id"] for row in rows}) == len(rows) == 4


def test_a_segment_never_begins_between_a_call_and_its_result(workshop: Workshop) -> None:
    from trainwright.ingest.turns import Turn, segments

    roles = ["user", "assistant", "tool", "assistant"] * 4
    turns = [Turn(role, role, role == "assistant") for role in roles]
    assert [len(segment) for segment in segments(turns, 6)] == [4, 4, 4, 4]
