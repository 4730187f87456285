"""The chat template of a run at work: conversations and prompts to token ids, piece by piece.

Texts of the template become special tokens; texts of rows never do, even if they spell one. Which pieces an assistant
turn says itself (its content, its calls and the token that ends it) is known by position.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from trainwright.chat_template.rendering import END, MARK, START, Joints, Template, TemplateRefuses, mark
from trainwright.errors import BadInput

Piece = tuple[Sequence[int], int]
"""Token ids, and the number of the assistant turn that says them; -1: nobody's to say (template, other roles)."""

PROBES = ("Hello there!", "42 °C, isn't it?", '"Quoted," she said.', "日本語 😀", "(a)\n\n- b", "x")
"""Contents that begin and end with different kinds of characters."""

_TOKEN_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Turns as in the canonical row (role, content, toolCalls as JSON text, …) and tool descriptions as JSON text."""

    messages: Sequence[Mapping[str, Any]]
    tools: str | None = None

    @property
    def calls_tools(self) -> bool:
        """Whether tools or calls must be rendered, so that the text around contents is the conversation's own."""
        return bool(self.tools) or any(message.get("toolCalls") for message in self.messages)


class ChatTemplate:
    """A tokenizer with the one template of the run; the tokenizer is set to take special tokens in texts as text.

    `special_tokens` are bos_token, eos_token, pad_token and unk_token, as far as the tokenizer has them.
    """

    def __init__(self, tokenizer: Tokenizer, text: str, special_tokens: Mapping[str, str]) -> None:
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.special_tokens = dict(special_tokens)
        self.template = Template(text, special_tokens)
        self._joints = Joints(self.template)
        self._fragments: dict[str, list[int]] = {}

    @classmethod
    def load(cls, folder: Path) -> ChatTemplate:
        """Load from a tokenizer folder, or from an output of tokenize that has one.

        Raises:
            BadInput: there is no tokenizer.json or no chat template.
        """
        folder = folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            text = (folder / "chat_template.jinja").read_text("utf-8")
        except Exception as error:
            raise BadInput(f"{folder} has no readable tokenizer.json with a chat_template.jinja ({error})") from error
        return cls(tokenizer, text, special_tokens(folder))

    @cached_property
    def end_id(self) -> int:
        """The token that ends an assistant turn."""
        return self._fragment(self._joints.between("assistant", END))[0]

    @cached_property
    def begin_ids(self) -> list[int]:
        """The begin token as a list of one, or an empty list if the tokenizer has none."""
        head = self._fragment(self._joints.between(START, "system"))
        later = self._fragment(self._joints.between("assistant", "system"))
        return [] if later[-len(head) :] == head else head[:1]

    @property
    def bos_id(self) -> int | None:
        """The begin token, if the tokenizer has one."""
        return self.begin_ids[0] if self.begin_ids else None

    @property
    def text_end_id(self) -> int:
        """The token that ends a plain text: the tokenizer's end-of-text, else that of a turn."""
        return self._token_id("eos_token", self.end_id)

    @property
    def stop_ids(self) -> list[int]:
        """Tokens that end an answer."""
        return sorted({self.end_id, self.text_end_id})

    @property
    def pad_id(self) -> int:
        """The token that fills batches; it may be one that also ends turns, so labels go by position."""
        return self._token_id("pad_token", self.text_end_id)

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the tokenizer, added ones included."""
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))

    def prompt_ids(self, messages: Sequence[Mapping[str, Any]], tools: str | None = None) -> list[int]:
        """The ids of a conversation up to where the assistant answers: those the row has in the shards."""
        pieces = self.pieces([Conversation(messages=messages, tools=tools)], generation=True)[0]
        return [token for ids, _ in pieces for token in ids]

    def encode_conversations(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """The ids of whole conversations."""
        return [[token for ids, _ in pieces for token in ids] for pieces in self.pieces(conversations)]

    def pieces(self, conversations: Sequence[Conversation], *, generation: bool = False) -> list[list[Piece]]:
        """Encode conversations in one batch; joined, the ids of a conversation's pieces are its tokens.

        Raises:
            TemplateRefuses: the template does not take the order of these roles.
        """
        plain = [conversation for conversation in conversations if not conversation.calls_tools]
        contents = iter(self.encode_texts([content_of(turn) for one in plain for turn in one.messages]))
        return [
            self._with_tools(conversation, generation)
            if conversation.calls_tools
            else self.assemble(
                [turn["role"] for turn in conversation.messages],
                [next(contents) for _ in conversation.messages],
                generation=generation,
            )
            for conversation in conversations
        ]

    def assemble(
        self, roles: Sequence[str], contents: Sequence[Sequence[int]], *, generation: bool = False
    ) -> list[Piece]:
        """Put encoded contents between the fragments of the template; the first token after an answer ends it."""
        head, *fragments = self._joints.fragments(roles, generation=generation)
        pieces: list[Piece] = [(self._fragment(head), -1)]
        for number, (role, content, fragment) in enumerate(zip(roles, contents, fragments, strict=True)):
            ids = self._fragment(fragment)
            if role == "assistant":
                pieces += [(content, number), (ids[:1], number), (ids[1:], -1)]
            else:
                pieces += [(content, -1), (ids, -1)]
        return pieces

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode texts of rows in one batch, each different text once; special tokens in them are text."""
        unique = list(dict.fromkeys(texts))
        encodings = self.tokenizer.encode_batch_fast(unique, add_special_tokens=False)
        ids = {text: encoding.ids for text, encoding in zip(unique, encodings, strict=True)}
        return [ids[text] for text in texts]

    def joins_texts(self) -> bool:
        """Whether the tokenizer makes other ids of a whole conversation than of its pieces, as some old ones do."""
        turns = [{"role": role, "content": text} for text in PROBES for role in ("user", "assistant")]
        self.tokenizer.encode_special_tokens = False
        whole = self.tokenizer.encode(self.template.render(turns), add_special_tokens=False).ids
        self.tokenizer.encode_special_tokens = True
        return self.encode_conversations([Conversation(messages=turns)])[0] != whole

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _token_id(self, name: str, otherwise: int) -> int:
        token = self.special_tokens.get(name)
        found = self.tokenizer.token_to_id(token) if token is not None else None
        return otherwise if found is None else int(found)

    @cached_property
    def _special(self) -> dict[str, int]:
        added = self.tokenizer.get_added_tokens_decoder()
        return {token.content: number for number, token in added.items() if token.special}

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        names = sorted(self._special, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, names))})") if names else re.compile("(?!)")

    def _fragment(self, text: str) -> list[int]:
        """The ids of a text of the template: special tokens count as such."""
        if text not in self._fragments:
            ids: list[int] = []
            for number, part in enumerate(self._special_pattern.split(text)):
                ids += [self._special[part]] if number % 2 else self.encode_texts([part])[0] if part else []
            self._fragments[text] = ids
        return self._fragments[text]

    def _with_tools(self, conversation: Conversation, generation: bool) -> list[Piece]:
        """Render a conversation with tools; cut its text at the template's special tokens and where answers begin."""
        messages, texts = _marked_messages(conversation, self._special_pattern)
        tools = _marked(json.loads(conversation.tools), self._special_pattern, texts) if conversation.tools else None
        rendered = self.template.render(messages, tools=tools, generation=generation)
        starts: dict[int, int] = {}
        for number, message in enumerate(messages):
            if message["role"] == "assistant":
                prompt = self.template.render(messages[:number], tools=tools, generation=True)
                if not rendered.startswith(prompt):
                    raise TemplateRefuses("an answer does not begin where its prompt ends")
                starts[len(prompt)] = number
        return self._cut(rendered, starts, texts)

    def _cut(self, rendered: str, starts: Mapping[int, int], texts: Mapping[str, str]) -> list[Piece]:
        cuts = sorted({0, len(rendered), *starts})
        pieces: list[Piece] = []
        for start, end in pairwise(cuts):
            speaker = starts.get(start, -1)
            for number, part in enumerate(self._special_pattern.split(rendered[start:end])):
                if number % 2:
                    pieces.append(([self._special[part]], speaker))
                    speaker = -1
                elif part:
                    pieces.append((self.encode_texts([MARK.sub(lambda m: texts[m[1]], part)])[0], speaker))
        return pieces


def content_of(message: Mapping[str, Any]) -> str:
    """The text of a turn as it is trained on: without blanks around it; a call without text is empty."""
    return (message.get("content") or "").strip()


def special_tokens(folder: Path) -> dict[str, str]:
    """The named special tokens of a tokenizer folder (tokenizer_config.json), as texts."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    named = {name: config.get(name) for name in _TOKEN_NAMES}
    return {name: token["content"] if isinstance(token, dict) else token for name, token in named.items() if token}


def _marked_messages(
    conversation: Conversation, special: re.Pattern[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    messages: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for number, turn in enumerate(conversation.messages):
        content = content_of(turn)
        texts[str(number)] = content
        message: dict[str, Any] = {"role": turn["role"], "content": mark(number) if content else ""}
        if turn.get("toolCalls"):
            message["tool_calls"] = [_marked(call, special, texts) for call in tool_calls(turn["toolCalls"])]
        if turn.get("toolCallId"):
            message["tool_call_id"] = turn["toolCallId"]
        if turn.get("name"):
            message["name"] = turn["name"]
        messages.append(message)
    return messages, texts


def tool_calls(text: str) -> list[dict[str, Any]]:
    """The calls of a turn with arguments as JSON values: those given as a text are read, so none is quoted twice."""
    calls = json.loads(text)
    return [
        {"type": "function", "function": {**function, "arguments": _arguments(function.get("arguments"))}}
        for function in (call.get("function") or call for call in (calls if isinstance(calls, list) else [calls]))
    ]


def _arguments(value: Any) -> Any:
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        return json.loads(value) if value.strip() else {}
    except ValueError:
        return value


def _marked(value: Any, special: re.Pattern[str], texts: dict[str, str]) -> Any:
    """A JSON value in which special tokens inside strings are marks, so that they stay text after rendering."""
    if isinstance(value, str):

        def replace(match: re.Match[str]) -> str:
            name = f"t{len(texts)}"
            texts[name] = match[0]
            return mark(name)

        return special.sub(replace, value)
    if isinstance(value, list):
        return [_marked(item, special, texts) for item in value]
    if isinstance(value, dict):
        return {_marked(key, special, texts): _marked(item, special, texts) for key, item in value.items()}
    return value
