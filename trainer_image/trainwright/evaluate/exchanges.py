"""The exchanges that are answered: a sample of a split by hash, the same for all candidates.

In: the rows of prepare. Out: prompts (the messages before an assistant turn) and references (that turn).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trainwright.formats.rows import FLAG_NOT_SCORED, read_parts

COLUMNS = ["id", "messages", "tools", "split"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A turn to be answered: the messages before it, and what the row answers."""

    messages: tuple[dict[str, Any], ...]
    tools: str | None
    reference: str


def sample(rows: Path, split: str, count: int, seed: int) -> list[Exchange]:
    """The `count` exchanges of `split` whose hashes are smallest; independent of partitions and their order.

    Left out: turns without loss, those that also occur in training rows, plain texts (nothing is asked) and tool calls
    (there is no text to compare).
    """
    chosen: list[tuple[bytes, Exchange]] = []
    for part in read_parts(rows, columns=COLUMNS):
        for row in part.filter(pl.col("split") == split).iter_rows(named=True):
            for turn, message in enumerate(row["messages"]):
                if turn and _is_scored(message) and row["messages"][turn - 1]["role"] in ("user", "tool"):
                    exchange = Exchange(
                        messages=tuple(row["messages"][:turn]), tools=row["tools"], reference=message["content"]
                    )
                    chosen.append((_hash(row["id"], turn, seed), exchange))
        chosen = sorted(chosen, key=lambda pair: pair[0])[:count]
    return [exchange for _, exchange in chosen]


def _is_scored(message: dict[str, Any]) -> bool:
    is_target = message["role"] == "assistant" and message["train"] and bool((message["content"] or "").strip())
    return is_target and not message["toolCalls"] and not (message["flags"] or 0) & FLAG_NOT_SCORED


def _hash(row: bytes, turn: int, seed: int) -> bytes:
    return hashlib.blake2b(
        row + turn.to_bytes(4, "big") + seed.to_bytes(8, "big", signed=True), digest_size=16
    ).digest()
