"""Chat turns of the chitchat-dataset wheel: what the static table is fitted to and weighted by.

Conversations are taken by hash: one in ten stays out, so that retrieval can be measured on turns the table never saw.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

HELD_OUT = 10
"""One conversation in so many is never fitted to."""


def fitted_turns(file: Path) -> list[str]:
    """Turns of all conversations but the held-out ones, in the order of their conversations' names."""
    return [turn for name, turns in conversations(file) if not is_held_out(name) for turn in turns]


def conversations(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and turns of each conversation; neighbouring messages of one speaker are one turn."""
    for name, conversation in sorted(json.loads(file.read_text("utf-8")).items()):
        turns = (" ".join(message["text"] for message in turn) for turn in conversation["messages"])
        yield name, [turn for turn in turns if turn.strip()]


def is_held_out(name: str) -> bool:
    """Whether the conversation of this name is kept for measuring."""
    return hashlib.sha256(name.encode()).digest()[0] % HELD_OUT == 0


def sample(turns: list[str], size: int) -> list[str]:
    """At most `size` different turns of 4 to 60 words, those with the smallest hashes: independent of order."""
    chosen = {turn for turn in turns if 4 <= len(turn.split()) <= 60}
    return sorted(chosen, key=lambda turn: hashlib.sha256(turn.encode()).digest())[:size]
