"""The usual shapes are recognised by the columns of each record."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright.ingest.shapes import guess

from tests.unit.ingest.conftest import Workshop

PAIR = [("user", "What is it?"), ("assistant", "A tree.")]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "What is it?", "response": "A tree."},
        {"prompt": "What is it?", "completion": "A tree."},
        {"question": "What is it?", "answer": "A tree."},
        {"instruction": "What is it?", "input": "", "output": "A tree."},
        {"instruction": "What is it?", "output": "A tree."},
        {"input": "What is it?", "output": "A tree."},
        {"query": "What is it?", "response": "A tree."},
        {"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A tree."}]},
        {"conversations": [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A tree."}]},
        {"conversation": [{"role": "User", "text": "What is it?"}, {"role": "BOT", "text": "A tree."}]},
        {"dialog": ["What is it?", "A tree."]},
        {"messages": '[{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A tree."}]'},
        {"conversations": [[{"from": "human", "value": "What is it?"}], [{"from": "gpt", "value": "A tree."}]]},
    ],
)
def test_every_usual_shape_gives_the_same_conversation(workshop: Workshop, record: dict[str, Any]) -> None:
    assert workshop.ingest(workshop.write("a.jsonl", [record])).conversations == [PAIR]


def test_plain_text_is_one_assistant_turn(workshop: Workshop) -> None:
    (row,) = workshop.ingest(workshop.write("a.jsonl", [{"text": "Once upon a time."}])).rows
    assert [(turn["role"], turn["content"], turn["train"]) for turn in row["messages"]] == [
        ("assistant", "Once upon a time.", True)
    ]


def test_messages_win_over_pairs_and_pairs_over_text() -> None:
    assert guess(["text", "prompt", "response", "messages"]).messages == "messages"  # type: ignore[union-attr]
    assert guess(["text", "prompt", "response"]).prompt == "prompt"  # type: ignore[union-attr]
    assert guess(["text", "title"]).text == "text"  # type: ignore[union-attr]


def test_rows_of_several_shapes_stand_in_one_file_in_any_order(workshop: Workshop) -> None:
    records = [
        {"question": "What is it?", "answer": "A tree."},
        {"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A tree."}]},
        {"answer": "A tree.", "question": "What is it?", "system": "Be brief."},
    ]
    result = workshop.ingest(workshop.write("a.jsonl", records))
    assert result.conversations == [PAIR, PAIR, [("system", "Be brief."), *PAIR]]
    assert sum(mapping["records"] for mapping in result.facts[0]["mappings"]) == 3


def test_preference_pairs_are_not_taken_for_plain_text() -> None:
    assert guess(["text", "chosen", "rejected"]) is None
    assert guess(["chosen", "rejected"]) is None
