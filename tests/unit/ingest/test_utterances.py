"""Tables with one utterance a row become conversations, whatever the order of rows and files."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.unit.ingest.conftest import Workshop

COLUMNS = {"conversation": "thread", "order": "n", "role": "author", "content": "text"}


def thread(name: str, length: int) -> list[dict[str, Any]]:
    return [
        {"thread": name, "n": n, "author": ("customer", "agent")[n % 2], "text": f"{name} says {n}"}
        for n in range(length)
    ]


def test_utterances_are_joined_in_their_order_from_all_files(workshop: Workshop) -> None:
    rows = [row for k in range(30) for row in thread(f"t{k}", 2 + 2 * (k % 6))]
    random.Random(7).shuffle(rows)
    for n in range(4):
        workshop.write(f"log/{n}.jsonl", rows[n::4])
    columns = COLUMNS | {"roles": {"customer": "user", "agent": "assistant"}}
    result = workshop.ingest({"uri": "./log/*.jsonl", "columns": columns})
    assert len(result.rows) == 30
    for turns in result.conversations:
        name = (turns[0][1] or "").split()[0]
        assert turns == [(("user", "assistant")[n % 2], f"{name} says {n}") for n in range(len(turns))]


def test_numbers_as_text_are_ordered_as_numbers_and_dates_as_text(workshop: Workshop) -> None:
    lines = ["thread,n,author,text"]
    lines += ["a,10,assistant,ten", "a,9,user,nine", "b,2024-02-01,assistant,later", "b,2024-01-31,user,earlier"]
    result = workshop.ingest({"uri": workshop.write("a.csv", "\n".join(lines)), "columns": COLUMNS})
    assert sorted(result.conversations) == [
        [("user", "earlier"), ("assistant", "later")],
        [("user", "nine"), ("assistant", "ten")],
    ]


def test_without_an_order_the_order_of_the_file_holds(workshop: Workshop) -> None:
    columns = {name: value for name, value in COLUMNS.items() if name != "order"}
    rows = [
        {"thread": 1, "author": "user", "text": "first"},
        {"thread": 2, "author": "user", "text": "other"},
        {"thread": 1, "author": "assistant", "text": "second"},
        {"thread": 2, "author": "assistant", "text": "answer"},
    ]
    assert workshop.ingest({"uri": workshop.write("a.jsonl", rows), "columns": columns}).conversations == [
        [("user", "first"), ("assistant", "second")],
        [("user", "other"), ("assistant", "answer")],
    ]


def test_people_in_a_table_are_speakers(workshop: Workshop) -> None:
    result = workshop.ingest({"uri": workshop.write("a.jsonl", thread("t", 4)), "columns": COLUMNS})
    assert len(result.rows) == 3
    assert len({row["group"] for row in result.rows}) == 1


def test_columns_beside_the_utterance_are_taken_from_the_first_that_has_them(workshop: Workshop) -> None:
    rows = thread("t", 2)
    rows[0] |= {"topic": "heat", "who": "c7"}
    rows[1] |= {"topic": "cold", "persona": "You are calm.", "stars": 5}
    columns = COLUMNS | {
        "roles": {"customer": "user", "agent": "assistant"},
        "system": "persona",
        "group": "who",
        "rating": "stars",
        "keep": ["topic"],
    }
    (row,) = workshop.ingest({"uri": workshop.write("a.jsonl", rows), "columns": columns}).rows
    assert row["messages"][0]["content"] == "You are calm."
    assert (row["group"], row["rating"], json.loads(row["metadata"])) == ("c7", 5.0, {"topic": "heat"})


def test_utterances_that_belong_nowhere_are_bad_rows(workshop: Workshop) -> None:
    rows = [
        *thread("t", 2),
        {"thread": None, "n": 1, "author": "agent", "text": "x"},
        {"thread": "t", "n": 3, "text": "x"},
    ]
    rows.append({"thread": "t", "author": "agent", "text": "x"})
    columns = COLUMNS | {"roles": {"customer": "user", "agent": "assistant"}}
    result = workshop.ingest({"uri": workshop.write("a.jsonl", rows), "columns": columns}, maxBadShare=1.0)
    assert [(bad["line"], bad["code"]) for bad in result.bad] == [(3, "noConversation"), (4, "noRole"), (5, "noOrder")]
    assert len(result.rows) == 1
