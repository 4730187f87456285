"""Renders a Jinja chat template as transformers does, and finds the text that it puts around contents.

`Template.render` gives the text of a conversation. `Joints` learns, from conversations of marks, what stands between
two neighbouring turns of given roles, so that a conversation needs no rendering: fragments alternate with contents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

START, END, GENERATION = "start", "end", "generation"
"""In place of a role: before the first turn, after the last, and after it with the prompt for an answer."""

MARK = re.compile("\ue000([a-z]?[0-9]+)\ue001")
_BEFORE: Mapping[str, tuple[str, ...]] = {"assistant": ("user",), "tool": ("user", "assistant")}


class TemplateRefuses(Exception):
    """The template raises for this conversation, or cannot be read."""


class ReadsClock(TemplateRefuses):
    """The template asks for the time: the same rows would give other tokens tomorrow."""


def mark(name: int | str) -> str:
    """A text that stands for a content: private-use characters that no template changes."""
    return f"\ue000{name}\ue001"


class Template:
    """A chat template with the special tokens that it may name (bos_token, eos_token, …)."""

    def __init__(self, text: str, special_tokens: Mapping[str, str]) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols], cache_size=0
        )
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _raise_exception, "strftime_now": _read_clock}
        self.text = text
        self._special_tokens = dict(special_tokens)
        try:
            self._template = environment.from_string(text)
        except jinja2.TemplateError as error:
            raise TemplateRefuses(f"it cannot be read: {error}") from error

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, tools: list[Any] | None = None, generation: bool = False
    ) -> str:
        """The text of a conversation; `generation` adds the prompt for the assistant's answer.

        Raises:
            TemplateRefuses: the template raises for these turns.
            ReadsClock: it asks for the time.
        """
        try:
            return self._template.render(
                messages=list(messages),
                tools=tools,
                documents=None,
                add_generation_prompt=generation,
                **self._special_tokens,
            )
        except (jinja2.TemplateError, TypeError, KeyError, ValueError) as error:
            raise TemplateRefuses(str(error) or type(error).__name__) from error


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _read_clock(_format: str) -> None:
    raise ReadsClock("it reads the clock")


class Joints:
    """The texts of a template between neighbouring turns, by the roles of the two."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._texts: dict[tuple[str, str], str] = {}

    def fragments(self, roles: Sequence[str], *, generation: bool = False) -> list[str]:
        """The len(roles) + 1 texts around the contents of turns with these roles.

        Raises:
            TemplateRefuses: the template does not take two of these roles one after the other.
        """
        path = (START, *roles, GENERATION if generation else END)
        return [self.between(*pair) for pair in pairwise(path)]

    def between(self, left: str, right: str) -> str:
        """The text between two turns; START, END and GENERATION stand for the edges of a conversation."""
        if (left, right) not in self._texts:
            self._texts[left, right] = self._probe(left, right)
        return self._texts[left, right]

    def _probe(self, left: str, right: str) -> str:
        if left == START:
            roles = (right,) if right != "system" else (right, "user")
            return self._split(roles, generation=False)[0]
        roles = (*_BEFORE.get(left, ()), left, *((right,) if right not in (END, GENERATION) else ()))
        return self._split(roles, generation=right == GENERATION)[-1 if right in (END, GENERATION) else -2]

    def _split(self, roles: Sequence[str], *, generation: bool) -> list[str]:
        return MARK.split(self._template.render(marked(roles), generation=generation))[::2]


def marked(roles: Sequence[str]) -> list[dict[str, Any]]:
    """A conversation whose contents are marks."""
    return [{"role": role, "content": mark(number)} for number, role in enumerate(roles)]
