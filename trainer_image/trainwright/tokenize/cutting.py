"""Rows to pieces of token ids that fit a sequence: whole conversations, windows of long ones, parts of plain texts.

`truncation` concerns one exchange that is longer than a sequence: Drop, KeepEnd (the front of its prompt goes) or Fail.
Whatever is left out is counted under a reason.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

from trainwright.chat_template import ChatTemplate, Conversation, Piece, TemplateRefuses, content_of
from trainwright.errors import BadInput
from trainwright.formats.rows import FLAG_NOT_SCORED
from trainwright.tokenize.windows import exchanges, leading_system, windows

WINDOWS = "windows"
TRUNCATED = "truncated"
TOO_LONG = "dropped.exchangeTooLong"
ANSWER_TOO_LONG = "dropped.answerTooLong"
NO_TARGET = "dropped.withoutTarget"
TURN_ORDER = "dropped.orderOfTurns"
REMEMBERED_TEXTS = 200_000


class Said(IntEnum):
    """Who says a piece: the template or another role, the assistant in a turn with loss, or in one without."""

    NO = 0
    TRAINED = 1
    UNTRAINED = 2


Part = tuple[Sequence[int], Said]
Contents = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How rows become sequences."""

    sequence_length: int
    truncation: str
    every_token: bool
    """Loss on all tokens (pre-training), not only on what the assistant says."""


class Cutter:
    """Cuts rows (id, source, record, messages, tools) into sequences.

    `counts` says how many further windows were made, and what was truncated or dropped, by reason.
    """

    def __init__(self, template: ChatTemplate, rules: Rules) -> None:
        self.template, self.rules = template, rules
        names = (WINDOWS, TRUNCATED, TOO_LONG, ANSWER_TOO_LONG, NO_TARGET, TURN_ORDER)
        self.counts: Counter[str] = Counter(dict.fromkeys(names, 0))
        self._known: dict[str, array[int]] = {}

    def cut(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[list[Part]]]:
        """The sequences of each row, encoded in one batch; texts of earlier batches are remembered.

        Raises:
            BadInput: an exchange does not fit and `truncation` is Fail; the row is named.
        """
        texts = [[content_of(turn) for turn in row["messages"]] for row in rows]
        self._encode(text for row in texts for text in row)
        for row, row_texts in zip(rows, texts, strict=True):
            contents = [self._known[text] for text in row_texts]
            if [turn["role"] for turn in row["messages"]] == ["assistant"] and not row["messages"][0]["toolCalls"]:
                sequences = self._text(contents[0])
            else:
                sequences = self._conversation(row, contents)
            kept = [parts for parts in self._flagged(row, sequences) if self._learns(parts)]
            self.counts[NO_TARGET] += len(sequences) - len(kept)
            yield kept

    def _encode(self, texts: Iterable[str]) -> None:
        """Remember the ids of texts; in chat data a turn is often the prompt of one row and the answer of another."""
        if len(self._known) > REMEMBERED_TEXTS:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= {text: array("I", ids) for text, ids in zip(new, self.template.encode_texts(new), strict=True)}

    def _flagged(self, row: Mapping[str, Any], sequences: Iterable[list[Piece]]) -> Iterator[list[Part]]:
        said = [Said.TRAINED if is_trained(turn) else Said.UNTRAINED for turn in row["messages"]]
        for pieces in sequences:
            yield [(ids, said[turn] if turn >= 0 else Said.NO) for ids, turn in pieces]

    def _learns(self, parts: list[Part]) -> bool:
        """Whether a sequence has a target: something to say after its first token."""
        start = 0
        for ids, said in parts:
            has_loss = said == Said.TRAINED or (self.rules.every_token and said == Said.NO)
            if has_loss and ids and start + len(ids) > 1:
                return True
            start += len(ids)
        return False

    def _text(self, ids: Sequence[int]) -> list[list[Piece]]:
        """Parts of a plain text, each after the begin token; the last has the end token and at least two of its own."""
        begin = self.template.begin_ids
        room = self.rules.sequence_length - len(begin)
        whole = [*ids, self.template.text_end_id]
        borders = [*range(0, len(whole), room), len(whole)]
        if len(borders) > 2 and borders[-1] - borders[-2] < 2:
            borders[-2] -= 1
        self.counts[WINDOWS] += len(borders) - 2
        return [[(begin, -1), (whole[start:end], 0)] for start, end in pairwise(borders)]

    def _conversation(self, row: Mapping[str, Any], contents: Contents) -> list[list[Piece]]:
        try:
            whole = self._pieces(row, contents, range(len(row["messages"])))
            if _length(whole) <= self.rules.sequence_length:
                return [whole]
            return list(self._windows(row, contents))
        except TemplateRefuses:
            self.counts[TURN_ORDER] += 1
            return []

    def _windows(self, row: Mapping[str, Any], contents: Contents) -> Iterator[list[Piece]]:
        roles = [turn["role"] for turn in row["messages"]]
        blocks, head = exchanges(roles), range(leading_system(roles))

        def pieces(first: int, end: int) -> list[Piece]:
            return self._pieces(row, contents, [*head, *range(blocks[first].start, blocks[end - 1].stop)])

        def fits(first: int, end: int) -> bool:
            return _length(pieces(first, end)) <= self.rules.sequence_length

        found = windows(len(blocks), fits)
        self.counts[WINDOWS] += max(0, len(found) - 1)
        self.counts[TOO_LONG] += not blocks
        for window in found:
            if fits(window.start, window.stop):
                yield pieces(window.start, window.stop)
            else:
                yield from self._shortened(row, contents, [*head, *blocks[window.start]])

    def _shortened(self, row: Mapping[str, Any], contents: Contents, turns: Sequence[int]) -> Iterator[list[Piece]]:
        """One exchange that does not fit, by the rule of `truncation`; one with tools is never cut."""
        length = _length(self._pieces(row, contents, turns))
        if self.rules.truncation == "Fail":
            raise BadInput(
                f"an exchange of record {row['record']} in {row['source']} has {length} tokens, more than"
                f" training.sequenceLength {self.rules.sequence_length}",
                hint="raise sequenceLength, or set training.truncation to Drop or KeepEnd",
            )
        if self.rules.truncation == "Drop" or _conversation(row).calls_tools:
            self.counts[TOO_LONG] += 1
            return
        excess, shorter = length - self.rules.sequence_length, list(contents)
        for turn in turns:
            if row["messages"][turn]["role"] in ("user", "tool"):
                gone = min(excess, len(contents[turn]))
                shorter[turn] = contents[turn][gone:]
                excess -= gone
        self.counts[ANSWER_TOO_LONG if excess else TRUNCATED] += 1
        if not excess:
            yield self._pieces(row, shorter, turns)

    def _pieces(self, row: Mapping[str, Any], contents: Contents, turns: Sequence[int]) -> list[Piece]:
        """The pieces of some turns of a row; their numbers are those of the row's turns."""
        messages = [row["messages"][turn] for turn in turns]
        conversation = Conversation(messages=messages, tools=row["tools"])
        if conversation.calls_tools:
            pieces = self.template.pieces([conversation])[0]
        else:
            pieces = self.template.assemble([turn["role"] for turn in messages], [contents[turn] for turn in turns])
        return [(ids, turns[number] if number >= 0 else -1) for ids, number in pieces]


def is_trained(message: Mapping[str, Any]) -> bool:
    """Whether the tokens of a turn are targets."""
    if message["role"] != "assistant" or not message["train"] or (message["flags"] or 0) & FLAG_NOT_SCORED:
        return False
    return bool(content_of(message) or message["toolCalls"])


def _conversation(row: Mapping[str, Any]) -> Conversation:
    return Conversation(messages=row["messages"], tools=row["tools"])


def _length(pieces: list[Piece]) -> int:
    return sum(len(ids) for ids, _ in pieces)
