"""Conversations between people: every exchange is a row, the conversation its group."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from trainwright.formats.rows import part_files

from tests.unit.ingest.conftest import Workshop

COLUMNS = {"messages": "messages", "role": "sender", "content": "text"}


def talk(*said: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"sender": who, "text": what} for who, what in said]}


def test_neighbouring_utterances_are_joined_and_every_exchange_becomes_a_row(workshop: Workshop) -> None:
    said = talk(("ann", "Hi"), ("ann", " "), ("ann", "there"), ("bob", "Hello"), ("ann", "Bye"))
    result = workshop.ingest({"uri": workshop.write("a.jsonl", [said]), "columns": COLUMNS})
    assert sorted(result.conversations) == [
        [("user", "Hello"), ("assistant", "Bye")],
        [("user", "Hi there"), ("assistant", "Hello")],
    ]
    groups = {row["group"] for row in result.rows}
    assert len(groups) == 1
    assert groups != {None}


def test_a_group_of_ones_own_wins_over_the_conversation(workshop: Workshop) -> None:
    record = talk(("ann", "Hi"), ("bob", "Hello")) | {"pair": "ann+bob"}
    uri = workshop.write("a.jsonl", [record])
    assert [row["group"] for row in workshop.ingest({"uri": uri, "columns": COLUMNS | {"group": "pair"}}).rows] == [
        "ann+bob"
    ]


def test_blank_sides_are_counted_and_a_single_speaker_makes_no_row(workshop: Workshop) -> None:
    records = [
        talk(("ann", "Hi"), ("bob", "  "), ("ann", "Anyone?")),
        talk(("ann", "Hi"), ("ann", "Anyone?")),
        talk(("ann", "Hi"), ("bob", "Yes")),
    ]
    result = workshop.ingest({"uri": workshop.write("a.jsonl", records), "columns": COLUMNS})
    assert result.facts[0]["dropped"] == {"emptyResponse": 1, "emptyPrompt": 1, "oneSpeaker": 1}
    assert result.conversations == [[("user", "Hi"), ("assistant", "Yes")]]


def test_a_system_turn_stands_before_every_exchange(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", [talk(("system", "Two friends."), ("ann", "Hi"), ("bob", "Hello"), ("ann", "Bye"))])
    conversations = workshop.ingest({"uri": uri, "columns": COLUMNS}).conversations
    assert [turns[0] for turns in conversations] == [("system", "Two friends.")] * 2


def test_numbers_can_be_speakers(workshop: Workshop) -> None:
    record = {"messages": [{"sender": 1, "text": "Hi"}, {"sender": 2, "text": "Hello"}]}
    uri = workshop.write("a.jsonl", [record])
    assert workshop.ingest({"uri": uri, "columns": COLUMNS}).conversations == [[("user", "Hi"), ("assistant", "Hello")]]


def test_the_whole_chitchat_corpus_gives_131569_exchanges_of_which_21_have_a_blank_side(workshop: Workshop) -> None:
    source = {
        "uri": "pkg://chitchat_dataset/dataset.json",
        "columns": COLUMNS | {"keep": ["prompt", "ratings"]},
        "license": "MIT",
    }
    result = workshop.ingest(source)
    dropped = result.facts[0]["dropped"]
    assert dropped == {"oneSpeaker": 3150, "emptyResponse": 11, "emptyPrompt": 10}
    assert result.report.counts["exchanges"] == 131_548
    assert 131_548 + dropped["emptyResponse"] + dropped["emptyPrompt"] == 131_569
    part, *_ = part_files(result.folder / "rows")
    kept = [json.loads(text) for text in pl.read_parquet(part)["metadata"].drop_nulls().head(500)]
    assert any("witty" in (columns.get("ratings") or {}) for columns in kept)
    assert any(columns.get("prompt") for columns in kept)
