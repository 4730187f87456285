"""Chooses the chat template of a run: the tokenizer's own if it can be kept, else chatml or llama3, and says why.

An own template is kept only if the text between two turns depends on their roles alone, an answer ends with one
special token, and it inserts neither a system prompt nor the date: then rows, prompts and exported template agree token
for token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.chat_template.rendering import (
    END,
    GENERATION,
    MARK,
    START,
    Joints,
    ReadsClock,
    Template,
    TemplateRefuses,
    mark,
    marked,
)
from trainwright.chat_template.texts import MARKERS, template_text, with_system_prompt
from trainwright.errors import BadInput

PATTERNS: tuple[tuple[str, ...], ...] = (
    ("user",),
    ("user", "assistant"),
    ("system", "user", "assistant"),
    ("user", "assistant", "user", "assistant", "user", "assistant"),
    ("system", "user", "assistant", "user"),
    ("user", "assistant", "system", "user", "assistant"),
    ("assistant", "user", "assistant"),
    ("user", "user", "assistant", "assistant"),
)
TOOL_PATTERN = ("user", "assistant", "tool", "tool", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The template of a run: its Jinja text, its name, and why it is not the tokenizer's own, if it is not."""

    name: str
    text: str
    note: str
    missing_tokens: tuple[str, ...]
    """Special tokens of the template that the tokenizer lacks."""


def choose_template(
    own: str | None,
    *,
    wanted: str | None,
    system_prompt: str | None,
    special_tokens: Mapping[str, str],
    vocabulary: Collection[str],
    control: Collection[str],
    begin: str,
    is_llama: bool,
    tools: bool,
) -> Choice:
    """Choose the template and put the system prompt into it.

    `own` is the tokenizer's template, `control` its special tokens, `begin` the one that it adds in front of every text
    by itself (or ""); `tools` says that rows have tools or tool calls.
    """
    if system_prompt is not None and any(token in system_prompt for token in control):
        raise BadInput("model.systemPrompt spells a special token of the tokenizer", hint="use a plain sentence")
    reason = "" if wanted else _reason_against(own, special_tokens, control, begin=begin, tools=tools)
    if own and not wanted and not reason:
        return Choice(name="own", text=with_system_prompt(own, system_prompt), note="", missing_tokens=())
    name = wanted or _fallback(vocabulary, is_llama=is_llama)
    note = f"The tokenizer's own chat template is replaced by {name}: {reason}." if own and reason else ""
    text = template_text(name, begin=begin)
    needed = {*MARKERS[name].tokens} - ({MARKERS[name].begin} if begin else set())
    return Choice(
        name=name,
        text=with_system_prompt(text, system_prompt),
        note=note,
        missing_tokens=tuple(token for token in MARKERS[name].tokens if token in needed - {*vocabulary}),
    )


def _fallback(vocabulary: Collection[str], *, is_llama: bool) -> str:
    has = {name: all(token in vocabulary for token in markers.tokens) for name, markers in MARKERS.items()}
    return "llama3" if has["llama3"] and (is_llama or not has["chatml"]) else "chatml"


def _reason_against(
    own: str | None, special_tokens: Mapping[str, str], control: Collection[str], *, begin: str, tools: bool
) -> str:
    """Why the tokenizer's own template cannot be kept; "" if it can, or if there is none."""
    if not own:
        return "there is none"
    try:
        template = Template(own, special_tokens)
        joints = Joints(template)
        return (
            _inserts(joints, begin)
            or _irregular(template, joints, control)
            or (_ignores_tools(template, joints) if tools else "")
        )
    except ReadsClock:
        return "it inserts today's date"
    except TemplateRefuses as error:
        return f"it refuses some conversations ({error})"


def _inserts(joints: Joints, begin: str) -> str:
    for role in ("user", "system"):
        head = joints.between(START, role)
        before = head[: len(head) - _common_end(head, joints.between("assistant", role))]
        if any(character.isspace() for character in before):
            return "it inserts a default system prompt"
        if not head.startswith(begin):
            return "it leaves out the begin token that the tokenizer adds to every text"
    return ""


def _common_end(left: str, right: str) -> int:
    length = 0
    while length < min(len(left), len(right)) and left[-1 - length] == right[-1 - length]:
        length += 1
    return length


def _irregular(template: Template, joints: Joints, control: Collection[str]) -> str:
    for roles in PATTERNS:
        for generation in (False, True):
            if not composes(template, joints, roles, generation=generation):
                return "what it puts around a turn depends on more than the neighbouring roles"
    if joints.between("user", GENERATION) != joints.between("user", "assistant"):
        return "its prompt for an answer differs from the start of an answer"
    if not joints.between("assistant", END).startswith(tuple(control)):
        return "its answers do not end with a special token"
    return ""


def composes(template: Template, joints: Joints, roles: Sequence[str], *, generation: bool) -> bool:
    """Whether the joints of neighbouring roles make exactly the text that the template renders."""
    fragments = joints.fragments(roles, generation=generation)
    contents = [mark(number) for number in range(len(roles))] + [""]
    composed = "".join(text for pair in zip(fragments, contents, strict=True) for text in pair)
    return composed == template.render(marked(roles), generation=generation)


def _ignores_tools(template: Template, joints: Joints) -> str:
    if not composes(template, joints, TOOL_PATTERN, generation=False):
        return "it cannot hold tool results"
    call = {"type": "function", "function": {"name": mark("n1"), "arguments": {mark("n2"): mark("n3")}}}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    tool = {"type": "function", "function": {"name": mark("n4"), "description": mark("n5"), "parameters": {}}}
    found = MARK.findall(template.render(turns, tools=[tool]))
    return "" if {f"n{number}" for number in range(1, 6)} <= set(found) else "it leaves out tools or their calls"
