"""`columns` made ready to run: from a record to the turns of its conversation, and what goes along with it.

In: columns as the spec gives them or as they were guessed. Out: for each record one conversation, its segments, or
the exchanges of its speakers, with group, tools, rating and the kept columns. `metadata` holds the kept columns under
exactly the names that `keep` gives, with the values that the source has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from trainwright.api.data import Columns
from trainwright.errors import InvalidSpec
from trainwright.ingest.canonical import Extras
from trainwright.ingest.columns import Get, GetText, column, text
from trainwright.ingest.json_text import json_text, to_json
from trainwright.ingest.messages import Dialect, pair_of, turns_of
from trainwright.ingest.records import Empty, Record, Unfit
from trainwright.ingest.speakers import exchanges
from trainwright.ingest.turns import Row, Turn, is_blank, segments, with_targets

Rows = Callable[[Record, Counter[str]], list[Row]]


class Mapping:
    """`columns` made ready to run on records."""

    def __init__(self, columns: Columns, turn_limit: int) -> None:
        self.has_extras = bool(columns.group or columns.tools or columns.rating or columns.keep)
        self.records = 0
        """How many records were read with it: counted by the caller."""
        self.pair: Callable[[Record], tuple[str, str] | None] | None = None
        """Prompt and response of a record that makes nothing else (None if it makes more), where that may be."""
        self._columns = columns
        self._turn_limit = turn_limit
        self._group, self._tools = _optional(columns.group), _optional(columns.tools)
        self._rating = _optional(columns.rating)
        self._keep = [(name, column(name)) for name in columns.keep]
        self._history = _optional(columns.history)
        self._system = text(columns.system) if columns.system else None
        self._dialect = Dialect(role_key=columns.role, content_key=columns.content, roles=columns.roles)
        self.rows = self._rows()
        """The rows that a record makes: one conversation, its segments, or the exchanges of its speakers; exchanges
        with a blank side are counted in the second argument. Raises Unfit where the record is a bad row, and
        Empty."""

    def extras(self, record: Record) -> Extras:
        """Group, tools, rating and kept values of a record.

        Raises:
            Unfit: tools are no JSON, or the group is no simple value.
        """
        group = _simple(self._group(record)) if self._group else None
        tools = json_text(self._tools(record), "the tools") if self._tools else None
        rating = _number(self._rating(record)) if self._rating else None
        kept = {name: value for name, get in self._keep if (value := get(record)) is not None or name in record}
        return group, tools, rating, to_json(kept) if kept else None

    def _rows(self) -> Rows:
        columns = self._columns
        if columns.text is not None:
            return self._of_text(text(columns.text))
        if columns.messages is not None:
            get = column(columns.messages)
            if self._is_bare():
                self.pair = lambda record: pair_of(get(record), self._dialect)
            return self._of_messages(get)
        if columns.prompt is not None and columns.response is not None:
            pair = _pair(text(columns.prompt), text(columns.response))
            if self._history is None and self._is_bare():
                self.pair = pair
            return self._of_pair(pair)
        raise InvalidSpec("columns name none of text, prompt, messages", hint="give one of them")

    def _is_bare(self) -> bool:
        return self._system is None and not self.has_extras

    def _of_text(self, get: GetText) -> Rows:
        def rows(record: Record, dropped: Counter[str]) -> list[Row]:
            content = get(record)
            if is_blank(content):
                raise Empty("emptyText")
            return [(None, [*self._head(record), Turn("assistant", content, True)])]

        return rows

    def _of_pair(self, pair: Callable[[Record], tuple[str, str]]) -> Rows:
        def rows(record: Record, dropped: Counter[str]) -> list[Row]:
            prompt, response = pair(record)
            earlier = self._earlier(self._history(record)) if self._history else []
            last = [Turn("user", prompt), Turn("assistant", response, True)]
            return self._cut([*self._head(record), *earlier, *last])

        return rows

    def _of_messages(self, get: Get) -> Rows:
        def rows(record: Record, dropped: Counter[str]) -> list[Row]:
            conversation = turns_of(get(record), self._dialect)
            turns = [*self._head(record), *conversation.turns] if self._system else conversation.turns
            return exchanges(turns, dropped) if conversation.spoken else self._cut(with_targets(turns))

        return rows

    def _head(self, record: Record) -> list[Turn]:
        content = self._system(record) if self._system else None
        return [] if is_blank(content) else [Turn("system", content)]

    def _earlier(self, value: Any) -> list[Turn]:
        if not value:
            return []
        conversation = turns_of(value, self._dialect)
        if conversation.spoken:
            raise Unfit("unknownRole", "the history has roles that are not known; name them under columns.roles")
        return [turn._replace(train=False) for turn in conversation.turns]

    def _cut(self, turns: list[Turn]) -> list[Row]:
        if len(turns) <= self._turn_limit:
            return [(None, turns)]
        return list(enumerate(segments(turns, self._turn_limit)))


def _pair(get_prompt: GetText, get_response: GetText) -> Callable[[Record], tuple[str, str]]:
    def pair(record: Record) -> tuple[str, str]:
        prompt, response = get_prompt(record), get_response(record)
        if not response or response.isspace():
            raise Empty("emptyResponse")
        if not prompt or prompt.isspace():
            raise Empty("emptyPrompt")
        return prompt, response

    return pair


def _simple(value: Any) -> str | None:
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


def _optional(name: str | None) -> Get | None:
    return column(name) if name else None
