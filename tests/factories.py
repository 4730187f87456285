"""Objects for tests: canonical rows made from a few words, each with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

import polars as pl
import xxhash
from trainwright.formats.rows import SCHEMA

ROLES = ("user", "assistant")


def conversation(*turns: str | tuple[str, str | None] | dict[str, Any], **columns: Any) -> dict[str, Any]:
    """One canonical row. Texts alternate user and assistant; (role, text) and whole messages are taken as they are.

    A single text is plain text: one assistant turn. Columns of the row go by name: id, source, group, rating …
    """
    messages = [_message(turn, n, len(turns)) for n, turn in enumerate(turns)]
    text = "\x1f".join(f"{m['role']}\x1e{m['content']}" for m in messages)
    row = {
        "id": _digest(f"{columns.get('source', 'source')}\x1f{columns.get('record', 0)}\x1f{text}"),
        "source": "source",
        "record": 0,
        "contentKey": _digest(text.lower()),
        "messages": messages,
        "weight": 1.0,
    }
    return dict.fromkeys(SCHEMA) | row | columns


def rows_frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Canonical rows as a frame, sorted by id as in a part."""
    return pl.DataFrame(list(rows), schema=SCHEMA).sort("id")


def _message(turn: str | tuple[str, str | None] | dict[str, Any], number: int, count: int) -> dict[str, Any]:
    blank = {"train": None, "flags": 0, "name": None, "toolCalls": None, "toolCallId": None}
    if isinstance(turn, str):
        turn = ("assistant" if count == 1 else ROLES[number % 2], turn)
    message = blank | (turn if isinstance(turn, dict) else {"role": turn[0], "content": turn[1]})
    return message | {"train": message["role"] == "assistant" if message["train"] is None else message["train"]}


def _digest(text: str) -> bytes:
    return xxhash.xxh3_128_digest(text.encode())
