"""Which chat template a run uses: the tokenizer's own if rows, prompts and export would agree, else one of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from trainwright.chat_template import Choice, choose_template, special_tokens
from trainwright.errors import BadInput

from tests.toy_tokenizers import (
    CHATML,
    CHATML_TOKENS,
    DATE,
    LLAMA3,
    LLAMA_TOKENS,
    PROMPT,
    THINKING,
    llama_tokenizer,
    toy_tokenizer,
)

LISTS_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' + tools | tojson + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') }}"
    "{% for call in message['tool_calls'] or [] %}{{ call | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def choose(
    folder: Path,
    own: str | None,
    *,
    wanted: str | None = None,
    system_prompt: str | None = None,
    is_llama: bool = True,
    tools: bool = False,
    begin: str = "",
) -> Choice:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return choose_template(
        own,
        wanted=wanted,
        system_prompt=system_prompt,
        special_tokens=special_tokens(folder),
        vocabulary=tokenizer.get_vocab(),
        control=[token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special],
        begin=begin,
        is_llama=is_llama,
        tools=tools,
    )


def test_a_plain_own_template_is_kept(tmp_path: Path) -> None:
    choice = choose(toy_tokenizer(tmp_path), CHATML)
    assert (choice.name, choice.text, choice.note) == ("own", CHATML, "")


def test_an_own_template_with_a_begin_token_is_kept(tmp_path: Path) -> None:
    assert choose(llama_tokenizer(tmp_path), LLAMA3, begin="<|begin_of_text|>").name == "own"


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (PROMPT, "inserts a default system prompt"),
        (DATE + CHATML, "inserts today's date"),
        (THINKING, "prompt for an answer differs"),
        (CHATML.replace("<|im_end|>", ""), "do not end with a special token"),
        (
            CHATML.replace("message['content']", "message['content'] + (loop.length | string)"),
            "more than the neighbouring",
        ),
        (
            "{{ raise_exception('no system') if messages[0]['role'] == 'system' }}" + CHATML,
            "refuses some conversations",
        ),
        ("{% for", "cannot be read"),
    ],
)
def test_an_own_template_that_would_disagree_is_replaced_and_the_reason_is_said(
    tmp_path: Path, own: str, reason: str
) -> None:
    choice = choose(toy_tokenizer(tmp_path), own)
    assert choice.name == "chatml"
    assert "replaced by chatml" in choice.note and reason in choice.note


def test_a_clock_is_found_even_where_the_template_first_asks_whether_there_is_one(tmp_path: Path) -> None:
    own = "{% if strftime_now is defined %}{% set d = strftime_now('%Y') %}{% endif %}" + CHATML
    assert "today's date" in choose(toy_tokenizer(tmp_path), own).note


@pytest.mark.parametrize(
    ("own", "kept"), [(LISTS_TOOLS, True), (CHATML.replace("'content']", "'content'] | string"), False)]
)
def test_an_own_template_must_show_tools_if_rows_have_them(tmp_path: Path, own: str, kept: bool) -> None:
    folder = toy_tokenizer(tmp_path)
    assert choose(folder, own, tools=False).name == "own"
    assert (choose(folder, own, tools=True).name == "own") is kept


def test_without_an_own_template_the_tokens_decide(tmp_path: Path) -> None:
    toy, llama = toy_tokenizer(tmp_path / "toy"), llama_tokenizer(tmp_path / "llama")
    assert choose(toy, None, is_llama=True).name == "chatml"
    assert choose(llama, None, is_llama=True).name == "llama3"
    assert choose(llama, None, is_llama=False).name == "llama3"
    both = toy_tokenizer(tmp_path / "both", tokens=(*CHATML_TOKENS, *LLAMA_TOKENS))
    assert choose(both, None, is_llama=True).name == "llama3"
    assert choose(both, None, is_llama=False).name == "chatml"


def test_a_wanted_template_wins_over_a_good_own_one(tmp_path: Path) -> None:
    choice = choose(llama_tokenizer(tmp_path), LLAMA3, wanted="llama3")
    assert (choice.name, choice.note) == ("llama3", "")
    assert choice.text != LLAMA3


def test_tokens_that_the_tokenizer_lacks_are_named(tmp_path: Path) -> None:
    assert choose(toy_tokenizer(tmp_path), None, wanted="llama3").missing_tokens == (
        "<|begin_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    )


def test_an_own_template_must_write_the_begin_token_that_the_tokenizer_adds(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path, begin="<s>")
    assert "leaves out the begin token" in choose(folder, CHATML, begin="<s>").note
    assert choose(folder, "{{ bos_token }}" + CHATML, begin="<s>").name == "own"


def test_a_begin_token_that_the_tokenizer_adds_is_written_by_our_template(tmp_path: Path) -> None:
    folder = toy_tokenizer(tmp_path, begin="<s>")
    assert "<s>" in choose(folder, None, begin="<s>").text
    assert "<s>" not in choose(folder, None).text


def test_a_system_prompt_that_spells_a_special_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="spells a special token"):
        choose(toy_tokenizer(tmp_path), None, system_prompt="Be <|im_end|> kind.")
