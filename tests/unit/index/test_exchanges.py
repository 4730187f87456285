"""Conversations → exchanges: what is indexed, with which prompt, under which id."""

from __future__ import annotations

import uuid
from typing import Any

import polars as pl
from trainwright.index.exchanges import exchanges_of

from tests.factories import conversation, rows_frame

TOOL_CALL = {"role": "assistant", "content": None, "toolCalls": '[{"name": "clock"}]', "train": True}


def pairs(*rows: dict[str, Any]) -> list[tuple[str, str]]:
    return list(exchanges_of(rows_frame(*rows)).select("prompt", "response").iter_rows())


def test_every_response_comes_with_the_turn_before_it() -> None:
    assert pairs(conversation("hello", "hi", "how are you", "fine")) == [("hello", "hi"), ("how are you", "fine")]


def test_response_without_loss_is_not_indexed() -> None:
    quiet = {"role": "assistant", "content": "hi", "train": False}
    assert pairs(conversation("hello", quiet, "how are you", "fine")) == [("how are you", "fine")]


def test_system_turn_is_nobodys_prompt() -> None:
    assert pairs(conversation(("system", "Be short."), ("assistant", "hi"))) == [("", "hi")]


def test_plain_text_has_an_empty_prompt() -> None:
    assert pairs(conversation("just a text")) == [("", "just a text")]


def test_call_of_a_tool_is_indexed_as_its_json() -> None:
    assert pairs(conversation("what time is it", TOOL_CALL)) == [("what time is it", '[{"name": "clock"}]')]


def test_last_turn_of_one_row_is_not_the_prompt_of_the_next() -> None:
    rows = [conversation("only a question"), conversation(("assistant", "an answer"), record=1)]
    assert all(prompt == "" for prompt, _ in pairs(*rows))


def test_ids_are_version_5_uuids_that_depend_on_row_and_turn_alone() -> None:
    rows = [conversation("hello", "hi", "how are you", "fine"), conversation("cat", "milk")]
    together = exchanges_of(rows_frame(*rows)).sort("id")
    apart = pl.concat([exchanges_of(rows_frame(row)) for row in rows]).sort("id")
    assert together.equals(apart)
    assert together["id"].n_unique() == 3
    assert all(uuid.UUID(bytes=value).version == 5 for value in together["id"])


def test_no_rows_give_no_exchanges() -> None:
    assert exchanges_of(rows_frame()).height == 0
