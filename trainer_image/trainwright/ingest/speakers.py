"""Conversations between people: roles are names or ids, so nobody is the assistant and everybody is.

Neighbouring utterances of one speaker are joined by a space; then every exchange (an utterance and the reply to it)
becomes a row of its own. Alternating roles over the whole conversation would leave half of the replies without loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby, pairwise

from trainwright.ingest.records import Empty
from trainwright.ingest.turns import Row, Turn, is_blank


def exchanges(turns: list[Turn], dropped: Counter[str]) -> list[Row]:
    """Give each exchange with its number in the conversation; those with a blank side are counted in `dropped`.

    System turns stand in front of every exchange.

    Raises:
        Empty: only one speaker says anything.
    """
    system = [turn for turn in turns if turn.role == "system"]
    spoken = (turn for turn in turns if turn.role != "system")
    said = [_joined(together) for _, together in groupby(spoken, key=lambda turn: turn.role)]
    if len(said) < 2:
        raise Empty("oneSpeaker")
    rows: list[Row] = []
    for number, (prompt, response) in enumerate(pairwise(said)):
        if is_blank(response):
            dropped["emptyResponse"] += 1
        elif is_blank(prompt):
            dropped["emptyPrompt"] += 1
        else:
            rows.append((number, [*system, Turn("user", prompt), Turn("assistant", response, True)]))
    return rows


def _joined(together: Iterable[Turn]) -> str:
    return " ".join(turn.content for turn in together if turn.content and not turn.content.isspace())
