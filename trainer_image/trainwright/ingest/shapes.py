"""Recognises the usual shapes: which columns of a record make a conversation when the spec does not say.

Each record is looked at by itself, by its keys, so the result never depends on the order of rows. Messages win over
pairs, pairs over plain text.
"""

from __future__ import annotations

from collections.abc import Iterable

from trainwright.api.data import Columns

MESSAGES = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat")
PAIRS = (
    ("prompt", ("response", "completion", "answer", "output")),
    ("question", ("answer", "response", "output")),
    ("query", ("response", "answer")),
    ("input", ("output", "response")),
    ("inputs", ("targets",)),
    ("user", ("assistant",)),
)
INSTRUCTIONS = ("output", "response", "answer", "completion")
TEXTS = ("text", "content", "document", "body")
SYSTEMS = ("system", "system_prompt")
TOOLS = ("tools", "functions")


def guess(keys: Iterable[str]) -> Columns | None:
    """The usual shape that these columns have, or None."""
    present = set(keys)
    found = _guess_messages(present) or _guess_pair(present)
    if found is None:
        name = next((name for name in TEXTS if name in present), None)
        return Columns(text=name) if name and "chosen" not in present else None
    system = next((name for name in SYSTEMS if name in present), None)
    tools = next((name for name in TOOLS if name in present), None)
    return Columns.model_validate(found | {"system": system, "tools": tools})


def _guess_messages(present: set[str]) -> dict[str, str] | None:
    name = next((name for name in MESSAGES if name in present), None)
    return {"messages": name} if name else None


def _guess_pair(present: set[str]) -> dict[str, str] | None:
    history = {"history": "history"} if "history" in present else {}
    if "instruction" in present:
        response = next((name for name in INSTRUCTIONS if name in present), None)
        extra = next((name for name in ("input", "context") if name in present), None)
        prompt = f"{{instruction}}\n\n{{{extra}}}" if extra else "instruction"
        return {"prompt": prompt, "response": response} | history if response else None
    for prompt, responses in PAIRS:
        response = next((name for name in responses if name in present), None)
        if prompt in present and response:
            return {"prompt": prompt, "response": response} | history
    return None
