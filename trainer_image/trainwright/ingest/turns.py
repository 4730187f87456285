"""Turns of a conversation, and what makes one of them a target.

An assistant turn that says something (or calls a tool) is a target, unless the turn before it is a blank prompt or the
source gives the message the weight 0. A conversation without a target is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trainwright.ingest.records import Empty


class Turn(NamedTuple):
    """One message, as the canonical row has it (its flags are 0)."""

    role: str
    content: str | None
    train: bool = False
    name: str | None = None
    tool_calls: str | None = None
    tool_call_id: str | None = None


Row = tuple[int | None, list[Turn]]
"""A conversation or, with its number, a part of one."""


def with_targets(turns: list[Turn]) -> list[Turn]:
    """The conversation with `train` set on its targets.

    Raises:
        Empty: it has none; the code says which side is blank.
    """
    has_target = has_response = False
    blank_prompt = False
    for n, turn in enumerate(turns):
        role, content, train, _, calls, _ = turn
        if role == "assistant":
            says = calls is not None or not is_blank(content)
            has_response = has_response or says
            if train and not (says and not blank_prompt):
                turns[n] = turn._replace(train=False)
            else:
                has_target = has_target or train
            blank_prompt = False
        else:
            blank_prompt = role == "user" and is_blank(content)
    if not has_target:
        raise Empty("emptyPrompt" if has_response else "emptyResponse")
    return turns


def segments(turns: list[Turn], limit: int) -> Iterator[list[Turn]]:
    """Cut a conversation of more than `limit` turns before user turns; a leading system turn is repeated.

    Segments without a target are left out. A stretch of `limit` turns without a user turn is cut where it ends.
    """
    head = turns[:1] if turns[0].role == "system" else []
    rest = turns[len(head) :]
    room = limit - len(head)
    while rest:
        end = len(rest)
        if end > room:
            end = next((n for n in range(room, 0, -1) if rest[n].role == "user"), room)
        segment, rest = rest[:end], rest[end:]
        if any(turn.train for turn in segment):
            yield head + segment


def is_blank(content: str | None) -> bool:
    """Nothing but white space."""
    return not content or content.isspace()
