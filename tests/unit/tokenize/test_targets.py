"""Which tokens have loss: answers with their end, by position; all tokens in pre-training; never what is not scored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainwright.formats.rows import FLAG_NOT_SCORED, FLAG_OFFENSIVE
from trainwright.tokenize.unigram import unigram_loss

from tests.factories import conversation
from tests.toy_tokenizers import CHATML, toy_tokenizer
from tests.unit.tokenize.tokenizing import DATA, tokenize


def answer(text: str | None, **changes: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **changes}


def test_answers_and_the_tokens_that_end_them_are_targets(tmp_path: Path) -> None:
    row = conversation(("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    (sequence,) = tokenize(tmp_path, [row], tokenizer=toy_tokenizer(tmp_path / "toy")).sequences()
    assert sequence.target_text == "b<|im_end|>d<|im_end|>"
    assert sequence.row == row["id"]


def test_the_end_is_a_target_also_where_it_is_the_padding_token(tmp_path: Path) -> None:
    shared = ("<s>", "<|im_end|>", "<|im_start|>", "<pad>")
    folder = toy_tokenizer(tmp_path / "toy", tokens=shared)
    found = tokenize(tmp_path, [conversation("a", "b")], tokenizer=folder)
    assert found.template.pad_id == found.template.end_id
    assert found.sequences()[0].target_text == "b<|im_end|>"


def test_a_turn_without_training_stays_and_has_no_loss(tmp_path: Path) -> None:
    row = conversation("a", answer("mute", train=False, flags=FLAG_OFFENSIVE), "c", "d")
    (sequence,) = tokenize(tmp_path, [row], tokenizer=toy_tokenizer(tmp_path / "toy")).sequences()
    assert "mute" in sequence.text
    assert sequence.target_text == "d<|im_end|>"


def test_evaluation_turns_that_also_occur_in_training_are_not_scored(tmp_path: Path) -> None:
    rows = [
        {**conversation("a", answer("seen", flags=FLAG_NOT_SCORED), "c", "new"), "split": "validation"},
        {**conversation("b", answer("seen too", flags=FLAG_NOT_SCORED)), "split": "validation"},
        conversation("x", "y"),
    ]
    found = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"))
    assert [sequence.target_text for sequence in found.sequences("validation")] == ["new<|im_end|>"]
    assert found.report.counts["dropped.withoutTarget"] == 1


def test_an_empty_answer_is_no_target(tmp_path: Path) -> None:
    rows = [conversation("a", answer(None)), conversation("b", answer("  ")), conversation("c", "d")]
    found = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"))
    assert [sequence.target_text for sequence in found.sequences()] == ["d<|im_end|>"]
    assert found.report.counts["dropped.withoutTarget"] == 2
    assert not any(word in sequence.text for sequence in found.sequences() for word in ("None", "null", "nan"))


def test_pretraining_learns_all_tokens_but_the_first(tmp_path: Path) -> None:
    training = {"objective": "Pretrain", "sequenceLength": 64}
    rows = [conversation("a", "b"), conversation("plain text"), {**conversation("c", "d"), "split": "validation"}]
    found = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), training=training)
    assert all(one.targets == [False] + [True] * (len(one.ids) - 1) for one in found.sequences())
    assert [one.target_text for one in found.sequences("validation")] == ["d<|im_end|>"]


def test_pretraining_leaves_out_answers_without_training(tmp_path: Path) -> None:
    training = {"objective": "Pretrain", "sequenceLength": 64}
    row = conversation("a", answer("mute", train=False), "c", "d")
    (sequence,) = tokenize(tmp_path, [row], tokenizer=toy_tokenizer(tmp_path / "toy"), training=training).sequences()
    assert "mute" in sequence.text and "mute" not in sequence.target_text


@pytest.mark.parametrize(("scratch", "all_tokens"), [(False, False), (True, True)])
def test_the_objective_follows_from_where_the_weights_come_from(
    tmp_path: Path, scratch: bool, all_tokens: bool
) -> None:
    found = tokenize(tmp_path, [conversation("a", "b")], tokenizer=toy_tokenizer(tmp_path / "toy"), scratch=scratch)
    assert all(found.sequences()[0].targets[1:]) is all_tokens


def test_system_turns_are_kept_wherever_they_stand_and_never_have_loss(tmp_path: Path) -> None:
    rows = [
        conversation(("system", "SYS-ONE Reply in rhyme."), ("user", "Say hello."), ("assistant", "Hello to thee.")),
        conversation(
            "Which day?", "Tuesday.", ("system", "SYS-MID Be brief."), ("user", "And then?"), answer("Wednesday.")
        ),
        conversation(("system", "SYS-COLUMN You teach."), ("user", "Name a prime."), ("assistant", "Seven.")),
        conversation("Name a colour.", "Green."),
    ]
    found = tokenize(
        tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), training={"sequenceLength": 256}
    ).sequences()
    for name in ("SYS-ONE", "SYS-MID", "SYS-COLUMN"):
        assert sum(sequence.text.count(name) for sequence in found) == 1
        assert not any("SYS" in sequence.target_text for sequence in found)


def test_tool_calls_reach_the_shards_as_equal_json(tmp_path: Path) -> None:
    sources = [json.loads(line) for line in (DATA / "tools.jsonl").read_text("utf-8").splitlines()]
    rows = []
    for number, source in enumerate(sources):
        turns = [
            {
                "role": message["role"],
                "content": message["content"],
                "toolCalls": json.dumps(message["tool_calls"]) if "tool_calls" in message else None,
                "toolCallId": message.get("tool_call_id"),
            }
            for message in source["messages"]
        ]
        rows.append(conversation(*turns, record=number, tools=json.dumps(source["tools"])))
    folder = toy_tokenizer(tmp_path / "toy")
    found = tokenize(tmp_path, rows, tokenizer=folder, training={"sequenceLength": 1024})
    assert "leaves out tools" in found.report.message
    by_row = {sequence.row: sequence for sequence in found.sequences()}
    for row, source in zip(rows, sources, strict=True):
        sequence = by_row[row["id"]]
        call = json.loads(sequence.target_text.split("<tool_call>")[1].split("</tool_call>")[0])
        arguments = source["messages"][1]["tool_calls"][0]["function"]["arguments"]
        assert call["arguments"] == (json.loads(arguments) if isinstance(arguments, str) else arguments)
        assert [json.loads(line) for line in sequence.text.splitlines() if line.startswith('{"type"')] == source[
            "tools"
        ]
        assert sequence.target_text.count("<|im_end|>") == 2


def test_roles_that_an_own_template_does_not_take_in_this_order_are_counted(tmp_path: Path) -> None:
    picky = "{% for m in messages %}{% if loop.length > 1 and not loop.first and m['role'] == 'tool' %}"
    own = picky + "{{ raise_exception('no tools') }}{% endif %}{% endfor %}"
    folder = toy_tokenizer(tmp_path / "toy", template=own + CHATML)
    rows = [conversation("a", "b", ("tool", "c"), ("assistant", "d")), conversation("e", "f")]
    found = tokenize(tmp_path, rows, tokenizer=folder)
    assert found.report.counts["dropped.orderOfTurns"] == 1
    assert [sequence.target_text for sequence in found.sequences()] == ["f<|im_end|>"]


def test_the_unigram_loss_is_that_of_counts_with_one_added() -> None:
    training, validation = np.array([3, 1, 0, 0]), np.array([2, 0, 1, 0])
    expected = -(2 * math.log(4 / 8) + math.log(1 / 8)) / 3
    assert unigram_loss(training, validation) == pytest.approx(expected)
    assert unigram_loss(training, np.zeros(4, np.int64)) is None


def test_the_unigram_model_knows_answers_only_and_how_often_they_are_seen(tmp_path: Path) -> None:
    rows = [
        conversation("user words", "b"),
        {**conversation("c", "b"), "split": "validation"},
    ]
    training = {"objective": "Pretrain", "sequenceLength": 64}
    sources = [{"uri": "./source", "weight": 3}]
    rows = [{**row, "source": "./source"} for row in rows]
    found = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), training=training, sources=sources)
    size = found.report.metrics["vocabularySize"]
    assert found.report.metrics["unigramLoss"] == pytest.approx(-math.log(4 / (6 + size)))
