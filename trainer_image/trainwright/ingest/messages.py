"""Makes turns of a list of messages, whatever its keys and roles are called.

Known are OpenAI's {role, content, tool_calls, …}, ShareGPT's {from, value}, their usual variants, plain texts that
alternate from the user on, and lists nested in lists. Tool calls stay JSON: only an arguments text that is JSON
itself is parsed, so that it is not quoted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import orjson

from trainwright.ingest.columns import plain_text
from trainwright.ingest.json_text import to_json
from trainwright.ingest.records import Empty, Unfit
from trainwright.ingest.turns import Turn, is_blank

ROLE_KEYS = ("role", "from", "speaker", "sender", "author")
CONTENT_KEYS = ("content", "value", "text", "message", "utterance")
_CALL = "function_call"
_SPEAKER = "speaker "
_new = tuple.__new__
_ROLES = {
    "user": ("user", "human", "prompter", "usr"),
    "assistant": ("assistant", "gpt", "bot", "chatbot", "model", "ai", "chatgpt"),
    "system": ("system", "developer"),
    "tool": ("tool", "function", "observation", "ipython", "tool_response", "function_response"),
}
KNOWN_ROLES: dict[str, str] = {name: role for role, names in _ROLES.items() for name in names} | {_CALL: _CALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the messages of a source are written; None: the usual keys are tried."""

    role_key: str | None = None
    content_key: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    """Names of its own."""
    known: Mapping[Any, str] = field(init=False)
    """The usual names and its own."""
    plain_keys: Mapping[tuple[str, ...], tuple[str, str]] = field(init=False)
    """By the keys of a message that has only two: which is the role's, which the text's."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", KNOWN_ROLES | dict(self.roles))
        role_keys = (self.role_key,) if self.role_key else ROLE_KEYS
        content_keys = (self.content_key,) if self.content_key else CONTENT_KEYS
        pairs = product(role_keys, content_keys)
        object.__setattr__(self, "plain_keys", {keys: pair for pair in pairs for keys in (pair, pair[::-1])})


class Conversation(NamedTuple):
    """Turns; `spoken`: their roles are the names of speakers (and system), none is the assistant."""

    turns: list[Turn]
    spoken: bool


def turns_of(messages: Any, dialect: Dialect) -> Conversation:
    """The turns of a conversation.

    Raises:
        Unfit: it is no list of messages, mixes roles with unknown names, or holds what is not text.
        Empty: there are no messages.
    """
    if type(messages) is list and messages and (plain := _plain(messages, dialect)) is not None:
        return Conversation(plain, False)
    flat = list(_flat(_parsed(messages)))
    if not flat:
        raise Empty("emptyConversation")
    if isinstance(flat[0], str):
        return Conversation(_alternating(flat), False)
    turns = [_turn(message, dialect) for message in flat]
    return Conversation(turns, _is_spoken({turn.role for turn in turns}))


def pair_of(messages: Any, dialect: Dialect) -> tuple[str, str] | None:
    """Prompt and response of a conversation that is nothing but those two, neither of them blank; else None."""
    if type(messages) is not list or len(messages) != 2:
        return None
    prompt, response = _said(messages[0], dialect), _said(messages[1], dialect)
    if prompt is None or response is None or prompt[0] != "user" or response[0] != "assistant":
        return None
    said = prompt[1], response[1]
    return None if is_blank(said[0]) or is_blank(said[1]) else said


def _parsed(messages: Any) -> list[Any]:
    if messages is None:
        raise Empty("emptyConversation")
    messages = _loaded(messages, "the messages")
    if not isinstance(messages, list):
        raise Unfit("wrongType", "the messages are no list")
    return messages


def _flat(messages: list[Any]) -> Iterator[Any]:
    for message in messages:
        if isinstance(message, list):
            yield from _flat(message)
        else:
            yield message


def _plain(messages: list[Any], dialect: Dialect) -> list[Turn] | None:
    """Turns of messages that hold a known role, a text and nothing else: much the most frequent case. Else None."""
    turns = []
    for message in messages:
        said = _said(message, dialect)
        if said is None:
            return None
        role, content = said
        turns.append(_new(Turn, (role, content, role == "assistant", None, None, None)))
    return turns


def _said(message: Any, dialect: Dialect) -> tuple[str, str] | None:
    if type(message) is not dict:
        return None
    keys = dialect.plain_keys.get(tuple(message))
    if keys is None:
        return None
    name, content = message[keys[0]], message[keys[1]]
    if type(name) is not str or type(content) is not str:
        return None
    role = dialect.known.get(name)
    return None if role is None or role is _CALL else (role, content)


def _alternating(texts: list[Any]) -> list[Turn]:
    if not all(isinstance(text, str) for text in texts):
        raise Unfit("wrongType", "the messages are partly text, partly objects")
    return [Turn("assistant", text, True) if n % 2 else Turn("user", text) for n, text in enumerate(texts)]


def _turn(message: Any, dialect: Dialect) -> Turn:
    """One message; its role is the unknown name where it is a speaker's."""
    if not isinstance(message, dict):
        raise Unfit("wrongType", "a message is no object")
    role_value = _member(message, dialect.role_key, ROLE_KEYS, "role")
    role = _role(role_value, dialect.known)
    content = _member(message, dialect.content_key, CONTENT_KEYS, "content", required="tool_calls" not in message)
    if type(content) is not str:
        content = _content(role, content)
    calls = _calls(message)
    if role == _CALL:
        role, content, calls = "assistant", None, _normal_calls(_loaded(content, "a function call"))
    return Turn(
        role,
        content,
        role == "assistant" and message.get("weight") != 0,
        message.get("name") if isinstance(message.get("name"), str) else None,
        calls,
        message.get("tool_call_id") if isinstance(message.get("tool_call_id"), str) else None,
    )


def _content(role: str, content: Any) -> Any:
    """Text of a message that is not plain text; what a tool returned may be any JSON."""
    if role == _CALL:
        return content
    if role == "tool" and isinstance(content, dict):
        return to_json(content)
    return plain_text(content, "the content of a message")


def _member(message: dict[str, Any], key: str | None, usual: tuple[str, ...], what: str, required: bool = True) -> Any:
    if key is not None:
        if key not in message and required:
            raise Unfit("noKey", f"a message has no {key!r}")
        return message.get(key)
    for name in usual:
        if name in message:
            return message[name]
    if required:
        raise Unfit("noKey", f"a message has no {what}: its keys are {', '.join(sorted(message))[:100]}")
    return None


def _role(value: Any, known: Mapping[Any, str]) -> str:
    name = value if isinstance(value, str) else str(value)
    return known.get(name) or known.get(name.strip().lower()) or _SPEAKER + name


def _is_spoken(roles: set[str]) -> bool:
    known = roles & {"user", "assistant", "tool"}
    speakers = roles - known - {"system"}
    if known and speakers:
        name = min(speakers).removeprefix(_SPEAKER)[:40]
        raise Unfit("unknownRole", f"the role {name!r} stands beside {min(known)!r}; name it under columns.roles")
    return bool(speakers)


def _calls(message: dict[str, Any]) -> str | None:
    calls = message.get("tool_calls") or message.get("function_call")
    return _normal_calls(_loaded(calls, "the tool calls")) if calls else None


def _loaded(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Unfit("wrongType", f"{name} is text that is no JSON: {error.msg}") from error


def _normal_calls(calls: Any) -> str | None:
    """Tool calls in OpenAI's form, as JSON."""
    items = [_normal_call(call) for call in (calls if isinstance(calls, list) else [calls])]
    return to_json(items) if items else None


def _normal_call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise Unfit("wrongType", "a tool call is no object")
    has_function = isinstance(call.get("function"), dict)
    whole: dict[str, Any] = call if has_function else {"type": "function", "function": call}
    function = whole["function"]
    if not isinstance(function.get("arguments"), str):
        return whole
    try:
        return whole | {"function": function | {"arguments": orjson.loads(function["arguments"])}}
    except orjson.JSONDecodeError:
        return whole
