"""`columns` made ready to run: from a record to the turns of its conversation, and what goes along with it.

In: columns as the spec gives them or as they were guessed. Out: for each record one conversation, its segments, or the
exchanges of its speakers, with group, tools, rating and the kept columns. `metadata` holds the kept columns under exactly
the names that `keep` gives, with the values that the source has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from trainwright.api.data import Columns
from trainwright.ingest.columns import Get, GetText, column, names_in, text
from trainwright.ingest.messages import Dialect, json_text, turns_of
from trainwright.ingest.records import Empty, Record, Unfit
from trainwright.ingest.speakers import exchanges
from trainwright.ingest.turns import Row, Turn, segments, system_turn, with_targets


class Mapping:
    """`columns` made ready to run: turns, group, tools, rating and kept values of a record."""

    def __init__(self, columns: Columns, turn_limit: int) -> None:
        self.columns = columns
        self.names = frozenset(_names(columns))
        """The columns that are read."""
        self.group = _optional(columns.group)
        self.tools = _optional(columns.tools)
        self.rating = _optional(columns.rating)
        self.keep = [(name, column(name)) for name in columns.keep]
        self.has_extras = bool(self.group or self.tools or self.rating or self.keep)
        self._turn_limit = turn_limit
        self._system = text(columns.system) if columns.system else _nothing
        self._dialect = Dialect(role_key=columns.role, content_key=columns.content, roles=columns.roles)
        self._history = _optional(columns.history)
        self._rows = self._shape()

    def rows(self, record: Record, dropped: Counter[str]) -> list[Row]:
        """The rows that a record makes: one conversation, its segments, or the exchanges of its speakers.

        Raises:
            Unfit: the record is a bad row.
            Empty: it has nothing to learn from.
        """
        return self._rows(record, dropped)

    def _shape(self) -> Callable[[Record, Counter[str]], list[Row]]:
        columns = self.columns
        if columns.text is not None:
            return self._text(text(columns.text))
        if columns.prompt is not None and columns.response is not None:
            return self._pair(text(columns.prompt), text(columns.response))
        if columns.messages is not None:
            return self._messages(column(columns.messages))
        raise Unfit("unknownShape", "utterances are read by trainwright.ingest.utterances")

    def _text(self, get: GetText) -> Callable[[Record, Counter[str]], list[Row]]:
        def rows(record: Record, dropped: Counter[str]) -> list[Row]:
            content = get(record)
            if not content or content.isspace():
                raise Empty("emptyText")
            return [(None, [*system_turn(self._system(record)), Turn("assistant", content, True)])]

        return rows

    def _pair(self, get_prompt: GetText, get_response: GetText) -> Callable[[Record, Counter[str]], list[Row]]:
        history, system = self._history, self._system

        def rows(record: Record, dropped: Counter[str]) -> list[Row]:
            prompt, response = get_prompt(record), get_response(record)
            if not response or response.isspace():
                raise Empty("emptyResponse")
            if not prompt or prompt.isspace():
                raise Empty("emptyPrompt")
            turns = [Turn("user", prompt), Turn("assistant", response, True)]
            if history is not None:
                turns = [*self._earlier(history(record)), *turns]
            if system is not _nothing:
                turns = [*system_turn(system(record)), *turns]
            return self._cut(turns)

        return rows

    def _messages(self, get: Get) -> Callable[[Record, Counter[str]], list[Row]]:
        def rows(record: Record, dropped: Counter[str]) -> list[Row]:
            conversation = turns_of(get(record), self._dialect)
            turns = [*system_turn(self._system(record)), *conversation.turns]
            return exchanges(turns, dropped) if conversation.spoken else self._cut(with_targets(turns))

        return rows

    def _earlier(self, value: Any) -> list[Turn]:
        if value is None or value == "" or value == []:
            return []
        conversation = turns_of(value, self._dialect)
        if conversation.spoken:
            raise Unfit("unknownRole", "the history has roles that are not known; name them under columns.roles")
        return conversation.turns

    def _cut(self, turns: list[Turn]) -> list[Row]:
        if len(turns) <= self._turn_limit:
            return [(None, turns)]
        return list(enumerate(segments(turns, self._turn_limit)))


def extras(mapping: Mapping, record: Record) -> tuple[str | None, str | None, float | None, str | None]:
    """Group, tools, rating and kept values of a record.

    Raises:
        Unfit: tools are no JSON, or the group is no simple value.
    """
    group = _group(mapping.group(record)) if mapping.group else None
    tools = json_text(mapping.tools(record), "the tools") if mapping.tools else None
    rating = _number(mapping.rating(record)) if mapping.rating else None
    return group, tools, rating, _kept(mapping, record)


def _kept(mapping: Mapping, record: Record) -> str | None:
    kept = {name: value for name, get in mapping.keep if (value := get(record)) is not None or name in record}
    return orjson.dumps(kept, default=str, option=orjson.OPT_NON_STR_KEYS).decode() if kept else None


def _group(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | int | float):
        return str(value)
    raise Unfit("wrongType", "the group is a list or an object")


def _number(value: Any) -> float | None:
    """A rating; what is no number counts as none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _names(columns: Columns) -> Iterator[str]:
    values = [columns.text, columns.prompt, columns.response, columns.messages, columns.conversation, columns.system]
    values += [columns.history, columns.order, columns.tools, columns.group, columns.rating, *columns.keep]
    if columns.conversation is not None:
        values += [columns.role, columns.content]
    for value in values:
        if value is not None:
            yield from names_in(value)


def _optional(name: str | None) -> Get | None:
    return column(name) if name else None


def _nothing(record: Record) -> str | None:
    return None
