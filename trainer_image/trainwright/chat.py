"""Talk to an exported model: its own template, greedy answers, piece by piece; earlier turns are remembered.

In: a model folder as export writes it. Out: text as it comes. A prompt has the ids that its turns have in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainwright.chat_template import ChatTemplate
from trainwright.errors import BadInput
from trainwright.models import load_model, stored_dtype

MAX_NEW_TOKENS = 512


class Chat:
    """A conversation with the model in `folder`.

    Raises:
        BadInput: the folder is no model folder, or its weights cannot be loaded.
    """

    def __init__(self, folder: Path, *, max_new_tokens: int = MAX_NEW_TOKENS) -> None:
        if not (folder / "config.json").exists():
            raise BadInput(f"{folder} is not a model folder", hint="name WORKDIR/model of a finished run")
        self.template = ChatTemplate.load(folder)
        self.model: Any = load_model(folder, dtype=stored_dtype(folder)).eval()
        self.max_new_tokens = max_new_tokens
        self.messages: list[dict[str, str]] = []

    def reply(self, text: str) -> Iterator[str]:
        """Say `text` and yield the answer as it comes; both are remembered once the answer is complete.

        When the conversation outgrows the model's positions, its oldest exchanges are forgotten.

        Raises:
            BadInput: `text` alone is longer than the model's positions.
        """
        turns = [*self.messages, {"role": "user", "content": text}]
        turns, prompt = self._fitting(turns)
        ids: list[int] = []
        shown = ""
        for token in self._tokens(prompt):
            ids.append(token)
            said = self.template.decode(ids)
            if not said.endswith("\ufffd"):
                yield said[len(shown) :]
                shown = said
        rest = self.template.decode(ids)
        if rest != shown:
            yield rest[len(shown) :]
        self.messages = [*turns, {"role": "assistant", "content": rest}]

    def _fitting(self, turns: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[int]]:
        limit = int(self.model.config.max_position_embeddings)
        room = limit - min(self.max_new_tokens, limit // 4)
        prompt = self.template.prompt_ids(turns)
        while len(prompt) > room and len(turns) > 1:
            turns = turns[2:]
            prompt = self.template.prompt_ids(turns)
        if len(prompt) > room:
            raise BadInput(
                f"this text has {len(prompt)} tokens, the model has room for {room}", hint="say less at once"
            )
        return turns, prompt

    def _tokens(self, prompt: list[int]) -> Iterator[int]:
        """The most likely token after another, until one that ends an answer."""
        from transformers import DynamicCache

        room = int(self.model.config.max_position_embeddings) - len(prompt)
        stop = set(self.template.stop_ids)
        given, cache = prompt, DynamicCache(config=self.model.config)
        for _ in range(min(self.max_new_tokens, room)):
            token = self._next(given, cache)
            if token in stop:
                return
            yield token
            given = [token]

    def _next(self, given: list[int], cache: Any) -> int:
        import torch

        with torch.inference_mode():
            ids_BT = torch.tensor([given], device=self.model.device)
            output = self.model(input_ids=ids_BT, cache=cache, use_cache=True, logits_to_keep=1)
        return int(output.logits[0, -1].argmax())
