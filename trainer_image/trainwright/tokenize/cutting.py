"""Rows to pieces of token ids that fit a sequence: whole conversations, windows of long ones, parts of plain texts.

`truncation` concerns one exchange that is longer than a sequence: Drop, KeepEnd (the front of its prompt goes) or Fail.
Whatever is left out is counted under a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from trainwright.chat_template import ChatTemplate, Conversation, TemplateRefuses, content_of
from trainwright.errors import BadInput
from trainwright.formats.rows import FLAG_NOT_SCORED
from trainwright.tokenize.windows import exchanges, leading_system, windows

TOO_LONG = "dropped.exchangeTooLong"
ANSWER_TOO_LONG = "dropped.answerTooLong"
NO_TARGET = "dropped.withoutTarget"
TURN_ORDER = "dropped.orderOfTurns"


class Said(IntEnum):
    """Who says a piece: the template or another role, the assistant in a turn with loss, or in one without."""

    NO = 0
    TRAINED = 1
    UNTRAINED = 2


Part = tuple[list[int], Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How rows become sequences."""

    sequence_length: int
    truncation: str
    every_token: bool
    """Loss on all tokens (pre-training), not only on what the assistant says."""


class Cutter:
    """Cuts rows (id, source, record, messages, tools) into sequences; `counts` says what was cut, truncated or dropped."""

    def __init__(self, template: ChatTemplate, rules: Rules) -> None:
        self.template, self.rules = template, rules
        self.counts: Counter[str] = Counter()

    def cut(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[list[Part]]]:
        """The sequences of each row, encoded in one batch.

        Raises:
            BadInput: an exchange does not fit and `truncation` is Fail; the row is named.
        """
        plain = [not _conversation(row).calls_tools for row in rows]
        texts = [
            content_of(turn) for row, is_plain in zip(rows, plain, strict=True) if is_plain for turn in row["messages"]
        ]
        ids = iter(self.template.encode_texts(texts))
        for row, is_plain in zip(rows, plain, strict=True):
            contents = [next(ids) for _ in row["messages"]] if is_plain else None
            if contents is not None and [turn["role"] for turn in row["messages"]] == ["assistant"]:
                sequences = self._text(contents[0])
            else:
                sequences = self._conversation(row, contents)
            kept = [parts for parts in self._with_loss(row, sequences) if self._learns(parts)]
            self.counts[NO_TARGET] += len(sequences) - len(kept)
            yield kept

    def _with_loss(
        self, row: Mapping[str, Any], sequences: Iterable[list[tuple[list[int], int]]]
    ) -> Iterator[list[Part]]:
        said = [Said.TRAINED if is_trained(turn) else Said.UNTRAINED for turn in row["messages"]]
        for pieces in sequences:
            yield [(ids, said[turn] if turn >= 0 else Said.NO) for ids, turn in pieces]

    def _learns(self, parts: list[Part]) -> bool:
        """Whether a sequence has a target: something to say after the first token."""
        if self.rules.every_token:
            parts = [(ids, Said.TRAINED if said != Said.UNTRAINED else said) for ids, said in parts]
        start = 0
        for ids, said in parts:
            if said == Said.TRAINED and start + len(ids) > 1 and ids:
                return True
            start += len(ids)
        return False

    def _text(self, ids: list[int]) -> list[list[tuple[list[int], int]]]:
        """Parts of a plain text, each after the begin token; the last has the end token and at least two of its own."""
        begin = self.template.begin_ids
        room = self.rules.sequence_length - len(begin)
        ids = [*ids, self.template.text_end_id]
        borders = [*range(0, len(ids), room), len(ids)]
        if len(borders) > 2 and borders[-1] - borders[-2] < 2:
            borders[-2] -= 1
        self.counts["windows"] += len(borders) - 2
        return [[(begin, -1), (ids[start:end], 0)] for start, end in zip(borders, borders[1:], strict=False)]

    def _conversation(
        self, row: Mapping[str, Any], contents: list[list[int]] | None
    ) -> list[list[tuple[list[int], int]]]:
        try:
            whole = self._pieces(row, contents, range(len(row["messages"])))
            if _length(whole) <= self.rules.sequence_length:
                return [whole]
            return list(self._windows(row, contents))
        except TemplateRefuses:
            self.counts[TURN_ORDER] += 1
            return []

    def _windows(
        self, row: Mapping[str, Any], contents: list[list[int]] | None
    ) -> Iterator[list[tuple[list[int], int]]]:
        roles = [turn["role"] for turn in row["messages"]]
        blocks, head = exchanges(roles), range(leading_system(roles))

        def pieces(first: int, end: int) -> list[tuple[list[int], int]]:
            return self._pieces(row, contents, [*head, *range(blocks[first].start, blocks[end - 1].stop)])

        def fits(first: int, end: int) -> bool:
            return _length(pieces(first, end)) <= self.rules.sequence_length

        found = windows(len(blocks), fits)
        self.counts["windows"] += max(0, len(found) - 1)
        self.counts[TOO_LONG] += not blocks
        for window in found:
            if fits(window.start, window.stop):
                yield pieces(window.start, window.stop)
            else:
                yield from self._shortened(row, contents, [*head, *blocks[window.start]])

    def _shortened(
        self, row: Mapping[str, Any], contents: list[list[int]] | None, turns: Sequence[int]
    ) -> Iterator[list[tuple[list[int], int]]]:
        """One exchange that does not fit, by the rule of `truncation`."""
        excess = _length(self._pieces(row, contents, turns)) - self.rules.sequence_length
        if self.rules.truncation == "Fail":
            raise BadInput(
                f"an exchange of record {row['record']} in {row['source']} has {excess + self.rules.sequence_length} tokens,"
                f" more than training.sequenceLength {self.rules.sequence_length}",
                hint="raise sequenceLength, or set training.truncation to Drop or KeepEnd",
            )
        if self.rules.truncation == "Drop" or contents is None:
            self.counts[TOO_LONG] += 1
            return
        shorter = list(contents)
        for turn in turns:
            if row["messages"][turn]["role"] in ("user", "tool"):
                gone = min(excess, len(contents[turn]))
                shorter[turn] = contents[turn][gone:]
                excess -= gone
        self.counts["truncated" if excess == 0 else ANSWER_TOO_LONG] += 1
        if excess == 0:
            yield self._pieces(row, shorter, turns)

    def _pieces(
        self, row: Mapping[str, Any], contents: list[list[int]] | None, turns: Sequence[int]
    ) -> list[tuple[list[int], int]]:
        """The pieces of some turns of a row; their numbers are those of the row's turns."""
        messages = [row["messages"][turn] for turn in turns]
        if contents is None:
            pieces = self.template.pieces([Conversation(messages=messages, tools=row["tools"])])[0]
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


def _length(pieces: list[tuple[list[int], int]]) -> int:
    return sum(len(ids) for ids, _ in pieces)
