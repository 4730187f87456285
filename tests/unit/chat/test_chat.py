"""Talking to an exported folder: greedy answers as transformers gives them, streamed, with earlier turns remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from trainwright.chat import Chat
from trainwright.chat_template.texts import template_text
from trainwright.errors import BadInput
from trainwright.models import PRESETS, build_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.toy_tokenizers import toy_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = toy_tokenizer(tmp_path_factory.mktemp("model"), template=template_text("chatml"))
    shape = {**PRESETS["llama-tiny"], "hidden_size": 32, "head_dim": 8, "intermediate_size": 64, "num_hidden_layers": 1}
    (made / "config.json").write_text(json.dumps({**shape, "max_position_embeddings": 128}))
    size = len(AutoTokenizer.from_pretrained(made))
    build_model(made, vocabulary_size=size, seed=3, dtype=torch.float32).save_pretrained(made)
    return made


def expected(folder: Path, messages: list[dict[str, str]], new_tokens: int) -> str:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    ids = list(prompt)
    for _ in range(new_tokens):
        with torch.inference_mode():
            token = int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            break
        ids.append(token)
    return str(tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True))


def test_the_answer_is_the_greedy_one_and_comes_in_pieces(folder: Path) -> None:
    chat = Chat(folder, max_new_tokens=12)
    pieces = list(chat.reply("What is the capital of Japan?"))
    assert "".join(pieces) == expected(folder, [{"role": "user", "content": "What is the capital of Japan?"}], 12)
    assert len(pieces) > 1


def test_earlier_turns_are_remembered(folder: Path) -> None:
    chat = Chat(folder, max_new_tokens=8)
    first = "".join(chat.reply("Tokyo?"))
    second = "".join(chat.reply("Japan?"))
    talk = [
        {"role": "user", "content": "Tokyo?"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Japan?"},
    ]
    assert second == expected(folder, talk, 8)
    assert chat.messages == [*talk, {"role": "assistant", "content": second}]


def test_the_oldest_exchange_is_forgotten_when_there_is_no_room(folder: Path) -> None:
    chat = Chat(folder, max_new_tokens=8)
    for number in range(12):
        list(chat.reply(f"Tokyo {number}?"))
    assert chat.messages[-2]["content"] == "Tokyo 11?"
    assert chat.messages[0]["role"] == "user" and chat.messages[0]["content"] != "Tokyo 0?"


def test_a_text_longer_than_the_model_can_read_is_an_error(folder: Path) -> None:
    with pytest.raises(BadInput, match="has room for 120"):
        list(Chat(folder, max_new_tokens=8).reply("a1" * 100))


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a model folder"):
        Chat(tmp_path)
