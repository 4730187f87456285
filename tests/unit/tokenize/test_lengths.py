"""Rows that do not fit a sequence: windows, truncation, plain texts in parts, and reasons for what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trainwright.errors import BadInput
from trainwright.tokenize.windows import exchanges, windows

from tests.factories import conversation
from tests.toy_tokenizers import toy_tokenizer
from tests.unit.tokenize.tokenizing import DATA, Tokenized, tokenize


def prompts(*, only_long: bool = False) -> list[dict[str, Any]]:
    lines = (DATA / "long_prompts.jsonl").read_text("utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    return [
        conversation(pair["question"], pair["answer"], record=number)
        for number, pair in enumerate(pairs)
        if not only_long or len(pair["question"]) > 400
    ]


def assert_sound(found: Tokenized, split: str = "train") -> None:
    """Every sequence fits, has a target, does not begin with one, and ends an answer."""
    end = found.template.end_id
    for sequence in found.sequences(split):
        assert len(sequence.ids) <= found.report.metrics["sequenceLength"]
        assert any(sequence.targets) and not sequence.targets[0]
        assert any(token == end and target for token, target in zip(sequence.ids, sequence.targets, strict=True))


def test_rows_whose_answer_would_be_cut_off_are_dropped_and_counted(tmp_path: Path) -> None:
    found = tokenize(tmp_path, prompts(), tokenizer=toy_tokenizer(tmp_path / "toy"), training={"sequenceLength": 128})
    assert found.report.counts["dropped.exchangeTooLong"] == 4
    assert found.shards().sequence_count == 4
    assert_sound(found)


def test_keeping_the_end_takes_the_front_of_the_prompt(tmp_path: Path) -> None:
    training = {"sequenceLength": 128, "truncation": "KeepEnd"}
    found = tokenize(tmp_path, prompts(only_long=True), tokenizer=toy_tokenizer(tmp_path / "toy"), training=training)
    assert (found.report.counts["truncated"], found.report.counts["dropped.exchangeTooLong"]) == (4, 0)
    assert_sound(found)
    for sequence, row in zip(
        sorted(found.sequences(), key=lambda one: one.row),
        sorted(prompts(only_long=True), key=lambda one: one["id"]),
        strict=True,
    ):
        assert len(sequence.ids) == 128
        assert sequence.text.startswith("<|im_start|>user\n")
        assert sequence.text.split("<|im_end|>")[0].removeprefix("<|im_start|>user\n") in row["messages"][0]["content"]
        assert row["messages"][0]["content"].endswith(sequence.text.split("<|im_end|>")[0][-8:])
        assert sequence.target_text == row["messages"][1]["content"] + "<|im_end|>"


def test_an_answer_longer_than_a_sequence_is_dropped_even_when_keeping_the_end(tmp_path: Path) -> None:
    rows = [conversation("Hi!", "b1" * 80), conversation("Hi!", "Hello!")]
    training = {"sequenceLength": 128, "truncation": "KeepEnd"}
    found = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), training=training)
    assert found.report.counts["dropped.answerTooLong"] == 1
    assert found.shards().sequence_count == 1


def test_failing_on_a_long_exchange_names_the_record_and_the_setting(tmp_path: Path) -> None:
    training = {"sequenceLength": 128, "truncation": "Fail"}
    with pytest.raises(BadInput, match=r"record \d in source has \d+ tokens, more than training.sequenceLength 128"):
        tokenize(tmp_path, prompts(), tokenizer=toy_tokenizer(tmp_path / "toy"), training=training)


def test_nothing_left_to_train_on_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="sequences of 128 tokens: exchangeTooLong 4"):
        tokenize(
            tmp_path,
            prompts(only_long=True),
            tokenizer=toy_tokenizer(tmp_path / "toy"),
            training={"sequenceLength": 128},
        )


def test_evaluating_needs_no_training_row(tmp_path: Path) -> None:
    rows = [{**conversation("Hi!", "Hello!"), "split": "test"}]
    found = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), goal="Evaluate")
    assert (found.shards().pack_count, found.shards("test").sequence_count) == (0, 1)


def test_a_long_conversation_becomes_windows_that_repeat_the_system_turn(tmp_path: Path) -> None:
    turns = [(("user", "assistant")[n % 2], f"TURN-{n}") for n in range(12)]
    row = conversation(("system", "SYSTEM"), *turns)
    found = tokenize(tmp_path, [row], tokenizer=toy_tokenizer(tmp_path / "toy"), training={"sequenceLength": 128})
    texts = [sequence.text for sequence in found.sequences()]
    assert len(texts) > 1 and found.report.counts["windows"] == len(texts) - 1
    assert all(text.startswith("<|im_start|>system\nSYSTEM<|im_end|>\n<|im_start|>user\n") for text in texts)
    for _, turn in turns:
        assert sum(turn + "<" in text for text in texts) == 1
    assert {sequence.row for sequence in found.sequences()} == {row["id"]}
    assert_sound(found)


def test_a_conversation_that_fits_stays_whole(tmp_path: Path) -> None:
    row = conversation("a", "b", "c", "d")
    found = tokenize(tmp_path, [row], tokenizer=toy_tokenizer(tmp_path / "toy"))
    (sequence,) = found.sequences()
    assert sequence.target_text == "b<|im_end|>d<|im_end|>"
    assert found.report.counts["windows"] == 0


def test_only_the_exchange_that_is_too_long_goes(tmp_path: Path) -> None:
    row = conversation("a", "b", "x1" * 60, "c", "d", "e")
    found = tokenize(tmp_path, [row], tokenizer=toy_tokenizer(tmp_path / "toy"))
    assert sorted(sequence.target_text for sequence in found.sequences()) == ["b<|im_end|>", "e<|im_end|>"]
    assert found.report.counts["dropped.exchangeTooLong"] == 1


def test_a_plain_text_is_cut_into_parts_without_loss(tmp_path: Path) -> None:
    text = " ".join(f"{number}" for number in range(120))
    found = tokenize(tmp_path, [conversation(text)], tokenizer=toy_tokenizer(tmp_path / "toy"))
    parts = sorted(found.sequences(), key=lambda part: text.index(part.text.removesuffix("<|im_end|>")))
    assert "".join(part.text for part in parts) == text + "<|im_end|>"
    assert {len(part.ids) for part in parts[:-1]} == {64}
    assert all(part.targets == [False] + [True] * (len(part.ids) - 1) for part in parts)


@pytest.mark.parametrize("extra", range(3))
def test_the_last_part_of_a_plain_text_can_learn_its_end(tmp_path: Path, extra: int) -> None:
    text = "1" * (126 + extra)
    found = tokenize(tmp_path, [conversation(text)], tokenizer=toy_tokenizer(tmp_path / "toy"))
    ends = [part for part in found.sequences() if part.text.endswith("<|im_end|>")]
    assert [part.targets[-1] for part in ends] == [True]
    assert sum(len(part.ids) for part in found.sequences()) == len(text) + 1


def test_borders_of_exchanges_never_part_a_call_from_its_result() -> None:
    roles = [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "system",
        "user",
        "assistant",
        "user",
        "user",
        "assistant",
    ]
    assert exchanges(roles) == [range(1, 5), range(5, 8), range(8, 11)]
    assert exchanges(["assistant", "user", "assistant"]) == [range(0, 1), range(1, 3)]
    assert exchanges(["system"]) == []


def test_windows_are_as_long_as_fits() -> None:
    sizes = [3, 3, 3, 9, 1, 1]
    assert windows(len(sizes), lambda a, b: sum(sizes[a:b]) <= 7) == [
        range(0, 2),
        range(2, 3),
        range(3, 4),
        range(4, 6),
    ]
