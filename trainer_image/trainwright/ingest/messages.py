"""Makes turns of a list of messages, whatever its keys and roles are called.

Known are OpenAI's {role, content, tool_calls, …}, ShareGPT's {from, value}, their usual variants, plain texts that
alternate from the user on, and lists nested in lists. Tool calls stay JSON: only an arguments text that is JSON itself is
parsed, so that it is not quoted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from trainwright.ingest.columns import plain_text
from trainwright.ingest.records import Empty, Unfit
from trainwright.ingest.turns import Turn

ROLE_KEYS = ("role", "from", "speaker", "sender", "author")
CONTENT_KEYS = ("content", "value", "text", "message", "utterance")
_CALL = "function_call"
_SPEAKER = "speaker "
_ROLES = {
    "user": ("user", "human", "prompter", "usr"),
    "assistant": ("assistant", "gpt", "bot", "chatbot", "model", "ai", "chatgpt"),
    "system": ("system", "developer"),
    "tool": ("tool", "function", "observation", "ipython", "tool_response", "function_response"),
}
KNOWN_ROLES: Mapping[str, str] = {name: role for role, names in _ROLES.items() for name in names} | {_CALL: _CALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the messages of a source are written; None: the usual keys are tried."""

    role_key: str | None = None
    content_key: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns; `spoken`: their roles are the names of speakers (and system), none is the assistant."""

    turns: list[Turn]
    spoken: bool


def turns_of(messages: Any, dialect: Dialect) -> Conversation:
    """The turns of a conversation.

    Raises:
        Unfit: it is no list of messages, mixes roles with unknown names, or holds what is not text.
        Empty: there are no messages.
    """
    flat = list(_flat(_parsed(messages)))
    if not flat:
        raise Empty("emptyConversation")
    if all(isinstance(message, str) for message in flat):
        turns = [Turn("assistant", text, True) if n % 2 else Turn("user", text) for n, text in enumerate(flat)]
        return Conversation(turns, spoken=False)
    turns = [_turn(message, dialect) for message in flat]
    return Conversation(turns, spoken=_is_spoken({turn.role for turn in turns}))


def json_text(value: Any, name: str) -> str | None:
    """A value as JSON text, exactly as its source has it; JSON that comes as text is taken as it is.

    Raises:
        Unfit: it is text that is no JSON.
    """
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Unfit("wrongType", f"{name} is text that is no JSON: {error.msg}") from error
    return orjson.dumps(value, default=str).decode()


def _parsed(messages: Any) -> list[Any]:
    if messages is None:
        raise Empty("emptyConversation")
    if isinstance(messages, str):
        try:
            messages = orjson.loads(messages)
        except orjson.JSONDecodeError as error:
            raise Unfit("wrongType", "the messages are text that is no JSON list") from error
    if not isinstance(messages, list):
        raise Unfit("wrongType", "the messages are no list")
    return messages


def _flat(messages: list[Any]) -> Iterator[Any]:
    for message in messages:
        if isinstance(message, list):
            yield from _flat(message)
        else:
            yield message


def _turn(message: Any, dialect: Dialect) -> Turn:
    """One message; its role is the unknown name where it is a speaker's."""
    if not isinstance(message, dict):
        raise Unfit("wrongType", "a message is no object")
    role_value = _member(message, dialect.role_key, ROLE_KEYS, "role")
    role = _role(role_value, dialect.roles)
    content = _member(message, dialect.content_key, CONTENT_KEYS, "content", required="tool_calls" not in message)
    if type(content) is not str:
        content = plain_text(content, "the content of a message") if role != _CALL else json_text(content, "a call")
    calls = _calls(message)
    if role == _CALL:
        role, content, calls = "assistant", None, _normal_calls(orjson.loads(content or "[]"))
    return Turn(
        role,
        content,
        role == "assistant" and message.get("weight") != 0,
        message.get("name") if isinstance(message.get("name"), str) else None,
        calls,
        message.get("tool_call_id") if isinstance(message.get("tool_call_id"), str) else None,
    )


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


def _role(value: Any, own: Mapping[str, str]) -> str:
    name = value if isinstance(value, str) else str(value)
    known = own.get(name) or KNOWN_ROLES.get(name) or KNOWN_ROLES.get(name.strip().lower())
    return known or _SPEAKER + name


def _is_spoken(roles: set[str]) -> bool:
    known = roles & {"user", "assistant", "tool"}
    speakers = roles - known - {"system"}
    if known and speakers:
        name = min(speakers).removeprefix(_SPEAKER)[:40]
        raise Unfit("unknownRole", f"the role {name!r} stands beside {min(known)!r}; name it under columns.roles")
    return bool(speakers)


def _calls(message: dict[str, Any]) -> str | None:
    calls = message.get("tool_calls") or message.get("function_call")
    return _normal_calls(orjson.loads(calls) if isinstance(calls, str) else calls) if calls else None


def _normal_calls(calls: Any) -> str | None:
    """Tool calls in OpenAI's form, as JSON."""
    items = [_normal_call(call) for call in (calls if isinstance(calls, list) else [calls])]
    return orjson.dumps(items, default=str).decode() if items else None


def _normal_call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise Unfit("wrongType", "a tool call is no object")
    if not isinstance(call.get("function"), dict):
        call = {"type": "function", "function": call}
    function = call["function"]
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            function = function | {"arguments": orjson.loads(arguments)}
        except orjson.JSONDecodeError:
            return call
        return call | {"function": function}
    return call
