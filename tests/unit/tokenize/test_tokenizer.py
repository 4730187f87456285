"""The tokenizer and template of a run: begin tokens, dates, system prompts, learnt vocabularies, limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trainwright.errors import BadInput
from transformers import AutoTokenizer

from tests.factories import conversation
from tests.toy_tokenizers import CHATML, DATE, PROMPT, llama_tokenizer, toy_tokenizer
from tests.unit.tokenize.tokenizing import Tokenized, tokenize

ROWS = [
    conversation("What is the capital of Japan?", "Tokyo."),
    conversation("plain text"),
    conversation("a", "b", "c", "d"),
]
BEGIN = "{{ bos_token }}" + CHATML


@pytest.mark.parametrize(
    ("template", "begin", "count"),
    [(BEGIN, "<s>", 1), (CHATML, None, 0), (CHATML, "<s>", 1), (None, "<s>", 1), (None, None, 0), (BEGIN, None, 1)],
)
def test_a_sequence_has_one_begin_token_exactly_if_the_tokenizer_has_one(
    tmp_path: Path, template: str | None, begin: str | None, count: int
) -> None:
    folder = toy_tokenizer(tmp_path / "toy", template=template, begin=begin)
    found = tokenize(tmp_path, ROWS, tokenizer=folder)
    token = found.template.tokenizer.token_to_id("<s>")
    for sequence in found.sequences():
        assert sequence.ids.count(token) == count
        assert (sequence.ids[0] == token) is bool(count)


@pytest.mark.parametrize("template", [BEGIN, CHATML, PROMPT, DATE + CHATML])
def test_prompts_for_evaluation_and_chat_are_the_front_of_the_row_in_the_shard(tmp_path: Path, template: str) -> None:
    folder = toy_tokenizer(tmp_path / "toy", template=template, begin="<s>" if template == BEGIN else None)
    found = tokenize(tmp_path, ROWS[:1], tokenizer=folder)
    (sequence,) = found.sequences()
    question = [{"role": "user", "content": "What is the capital of Japan?"}]
    ours = found.template.prompt_ids(question)
    hub = AutoTokenizer.from_pretrained(found.folder / "tokenizer")
    theirs = hub.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
    assert ours == theirs == sequence.ids[: sequence.targets.index(True)]


def test_a_template_that_reads_the_clock_is_replaced_and_said(tmp_path: Path) -> None:
    found = tokenize(tmp_path, ROWS, tokenizer=toy_tokenizer(tmp_path / "toy", template=DATE + CHATML))
    assert "today's date" in found.report.message
    assert "strftime" not in (found.folder / "tokenizer" / "chat_template.jinja").read_text()
    assert not any("Today" in sequence.text for sequence in found.sequences())


def test_a_default_system_prompt_goes_and_a_wanted_one_stands_in_every_conversation(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path / "toy", template=PROMPT)
    without = tokenize(tmp_path / "without", ROWS, tokenizer=folder)
    assert not any("You are a toy" in sequence.text for sequence in without.sequences())
    found = tokenize(tmp_path / "with", ROWS, tokenizer=folder, model={"systemPrompt": "Be good."})
    texts = [sequence.text for sequence in found.sequences()]
    assert sum(text.startswith("<|im_start|>system\nBe good.<|im_end|>\n") for text in texts) == 2
    assert sum("Be good." in text for text in texts) == 2


def test_a_template_inside_the_settings_becomes_the_one_of_the_folder(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path / "toy", template=None)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": CHATML}))
    found = tokenize(tmp_path, ROWS, tokenizer=folder)
    assert "chat_template" not in json.loads((found.folder / "tokenizer" / "tokenizer_config.json").read_text())
    assert (found.folder / "tokenizer" / "chat_template.jinja").read_text() == CHATML


def test_an_existing_model_cannot_learn_tokens_that_its_tokenizer_lacks(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path / "toy")
    with pytest.raises(BadInput, match=r"the tokenizer has no .*<\|eot_id\|>"):
        tokenize(tmp_path, ROWS, tokenizer=folder, model={"chatTemplate": "llama3"})


def test_a_model_from_scratch_gets_the_tokens_of_the_template(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path / "toy", template=None, tokens=("<s>", "</s>"), end="</s>")
    before = len(AutoTokenizer.from_pretrained(folder))
    found = tokenize(tmp_path, ROWS, tokenizer=folder, scratch=True)
    assert found.report.metrics["vocabularySize"] == before + 2
    assert found.sequences()[0].text.count("<|im_start|>") in (2, 4)
    assert AutoTokenizer.from_pretrained(found.folder / "tokenizer").eos_token == "<|im_end|>"


def test_a_tokenizer_that_joins_the_texts_of_turns_and_template_is_an_error(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path / "toy")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["normalizer"] = {"type": "Prepend", "prepend": "a"}
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(BadInput, match="encodes a whole conversation differently from its turns"):
        tokenize(tmp_path, ROWS, tokenizer=folder)


def test_the_vocabulary_is_the_models_if_it_has_weights(tmp_path: Path) -> None:
    found = tokenize(tmp_path, ROWS, tokenizer=toy_tokenizer(tmp_path / "toy"))
    assert found.report.metrics["vocabularySize"] == found.shards().vocabulary_size == 4096


def test_a_tokenizer_larger_than_its_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the model only 200"):
        tokenize(tmp_path, ROWS, tokenizer=toy_tokenizer(tmp_path / "toy"), shape={"vocab_size": 200})


def test_a_sequence_longer_than_the_models_limit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="sequenceLength is 4096, but the model has only 2048 positions"):
        tokenize(tmp_path, ROWS, tokenizer=toy_tokenizer(tmp_path / "toy"), training={"sequenceLength": 4096})


@pytest.mark.parametrize(("limit", "length"), [(512, 512), (131072, 2048)])
def test_without_a_length_sequences_have_2048_tokens_or_the_models_limit(
    tmp_path: Path, limit: int, length: int
) -> None:
    shape = {"max_position_embeddings": limit}
    found = tokenize(tmp_path, ROWS, tokenizer=toy_tokenizer(tmp_path / "toy"), training={}, shape=shape)
    assert found.report.metrics["sequenceLength"] == found.shards().sequence_length == length
    assert f"Sequences have {length} tokens" in found.report.message


def learnt(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> Tokenized:
    return tokenize(folder, rows, training={"sequenceLength": 256}, **settings)


def test_a_learnt_tokenizer_encodes_any_text_without_loss(tmp_path: Path) -> None:
    found = learnt(tmp_path, [*ROWS, *[conversation("w" * 9, f"word {n} capital") for n in range(50)]])
    template = found.template
    for text in ("naïve 日本語 😀\x00\x1f", "42 °C\t\n  x", "<|im_end|>"):
        assert template.tokenizer.decode(template.encode_texts([text])[0], skip_special_tokens=False) == text
    assert found.report.metrics["vocabularySize"] <= 320
    assert [template.tokenizer.id_to_token(n) for n in range(3)] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def test_a_learnt_tokenizer_is_a_complete_folder_for_transformers(tmp_path: Path) -> None:
    found = learnt(tmp_path, ROWS)
    hub = AutoTokenizer.from_pretrained(found.folder / "tokenizer")
    assert (hub.eos_token, hub.pad_token, hub.bos_token) == ("<|im_end|>", "<|endoftext|>", None)
    talk = [{"role": "user", "content": "Hi!"}]
    ids = hub.apply_chat_template(talk, add_generation_prompt=True, return_dict=False)
    assert ids == found.template.prompt_ids(talk)


def test_a_tokenizer_can_be_learnt_for_llama3(tmp_path: Path) -> None:
    found = learnt(tmp_path, ROWS, model={"chatTemplate": "llama3"})
    begin = found.template.tokenizer.token_to_id("<|begin_of_text|>")
    assert all(one.ids[0] == begin and one.ids.count(begin) == 1 for one in found.sequences())
    assert AutoTokenizer.from_pretrained(found.folder / "tokenizer").bos_token == "<|begin_of_text|>"


def test_only_training_rows_are_learnt_from(tmp_path: Path) -> None:
    held_out = [{**conversation("q", f"zyzzyva zyzzyva {n}"), "split": "validation"} for n in range(40)]
    found = learnt(tmp_path, [*ROWS, *held_out])
    assert not any("zy" in token for token in found.template.tokenizer.get_vocab())


def test_a_llama_tokenizer_keeps_its_own_template(tmp_path: Path) -> None:
    found = tokenize(tmp_path, ROWS, tokenizer=llama_tokenizer(tmp_path / "toy"))
    assert "replaced" not in found.report.message
    assert all(one.text.count("<|begin_of_text|>") == 1 for one in found.sequences())
