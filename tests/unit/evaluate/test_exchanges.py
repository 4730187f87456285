"""Which exchanges are answered."""

from __future__ import annotations

import pytest
from trainwright.evaluate.exchanges import sample
from trainwright.formats.rows import FLAG_NOT_SCORED, write_part

from tests.factories import conversation, rows_frame


def answer(text, **changes):
    return {"role": "assistant", "content": text, "train": True, **changes}


def write(folder, *rows, parts=1):
    frame = rows_frame(*rows)
    for n in range(parts):
        write_part(frame[n::parts], folder, n)
    return folder


def numbered(count, split="validation"):
    return [conversation(f"question {n}", f"answer {n}", record=n, split=split) for n in range(count)]


def test_the_same_exchanges_are_chosen_however_rows_are_cut_into_parts(tmp_path):
    rows = numbered(50)
    one, many = write(tmp_path / "1", *rows), write(tmp_path / "7", *rows, parts=7)
    chosen = [[exchange.reference for exchange in sample(folder, "validation", 10, 42)] for folder in (one, many)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == 10


def test_another_seed_chooses_others(tmp_path):
    folder = write(tmp_path, *numbered(50))
    assert sample(folder, "validation", 10, 1) != sample(folder, "validation", 10, 2)


def test_only_rows_of_the_split_are_asked(tmp_path):
    folder = write(tmp_path, *numbered(3), *[row | {"id": row["id"][::-1]} for row in numbered(3, "test")])
    assert len(sample(folder, "test", 10, 42)) == 3
    assert sample(folder, "train", 10, 42) == []


def test_every_assistant_turn_of_a_conversation_can_be_asked_with_all_turns_before_it(tmp_path):
    folder = write(
        tmp_path,
        conversation(
            ("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), split="test"
        ),
    )
    found = {exchange.reference: [m["role"] for m in exchange.messages] for exchange in sample(folder, "test", 10, 42)}
    assert found == {"b": ["system", "user"], "d": ["system", "user", "assistant", "user"]}


@pytest.mark.parametrize(
    "row",
    [
        conversation("a plain text", split="test"),
        conversation("q", answer("seen in training", flags=FLAG_NOT_SCORED), split="test"),
        conversation("q", answer("without loss", train=False), split="test"),
        conversation("q", answer(None, toolCalls='[{"name": "f", "arguments": {}}]'), split="test"),
        conversation("q", answer("  "), split="test"),
    ],
    ids=["plain text", "not scored", "without loss", "tool call", "blank"],
)
def test_what_cannot_be_compared_is_not_asked(tmp_path, row):
    assert sample(write(tmp_path, row), "test", 10, 42) == []
