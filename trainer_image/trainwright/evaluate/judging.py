"""Judging one model: its answers to exchanges and probes, and their scores.

In: a model in memory and the questions, which are the same for every model. Out: texts and figures from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainwright.api.evaluation import Probe
from trainwright.chat_template import ChatTemplate
from trainwright.evaluate.exchanges import Exchange
from trainwright.evaluate.generation import answer
from trainwright.evaluate.scores import FIGURES, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Interview:
    """How every model is asked: the template, the length of answers, and which metrics compare texts (bleu, rouge)."""

    template: ChatTemplate
    metrics: Sequence[str]
    max_new_tokens: int
    longest_prompt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A model's answers, the probes among them that are met, their figures and how these were computed."""

    exchanges: Sequence[str]
    probes: Sequence[str]
    met: Sequence[bool]
    figures: dict[str, float | None]
    signatures: dict[str, str]

    @classmethod
    def none(cls) -> Answers:
        """Nothing was asked."""
        return cls(exchanges=(), probes=(), met=(), figures={}, signatures={})


def ask(
    model: Any,
    interview: Interview,
    exchanges: Sequence[Exchange],
    probes: Sequence[Probe],
    on_answers: Callable[[int], None] = lambda count: None,
) -> Answers:
    """Put all exchanges and probes to `model` and score what it says; `on_answers` hears how many more are done."""
    template = interview.template
    ids = answer(
        model,
        prompts(interview, exchanges, probes),
        max_new_tokens=interview.max_new_tokens,
        stop_ids=template.stop_ids,
        pad_id=template.pad_id,
        on_answers=on_answers,
    )
    texts = [template.decode(one).strip() for one in ids]
    said, probed = texts[: len(exchanges)], texts[len(exchanges) :]
    figures: dict[str, float | None] = {}
    signatures: dict[str, str] = {}
    for metric in interview.metrics:
        scored = score(metric, said, [exchange.reference for exchange in exchanges])
        figures |= {name: scored[name] for name in FIGURES[metric]}
        if said:
            signatures[metric] = scored["signature"]
    met: Sequence[bool] = []
    if probes:
        scored = score("probes", probed, [probe.contains for probe in probes])
        figures["probes"], met = scored["probes"], scored["met"]
    return Answers(exchanges=said, probes=probed, met=met, figures=figures, signatures=signatures)


def prompts(interview: Interview, exchanges: Sequence[Exchange], probes: Sequence[Probe]) -> list[list[int]]:
    """Token ids of what is asked, exchanges first; made by the template that made the shards."""
    asked = [(list(exchange.messages), exchange.tools) for exchange in exchanges]
    asked += [([{"role": "user", "content": probe.prompt}], None) for probe in probes]
    return [_fitting(interview, messages, tools) for messages, tools in asked]


def _fitting(interview: Interview, messages: list[dict[str, Any]], tools: str | None) -> list[int]:
    """The ids of a prompt; earlier exchanges go until it fits, at last the front of what is left."""
    ids = interview.template.prompt_ids(messages, tools)
    while len(ids) > interview.longest_prompt and (shorter := _without_oldest(messages)) is not None:
        messages = shorter
        ids = interview.template.prompt_ids(messages, tools)
    return ids[-interview.longest_prompt :]


def _without_oldest(messages: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The messages without the first exchange after the system turn; None if only the last user turn is left."""
    head = [message for message in messages[:1] if message["role"] == "system"]
    rest = messages[len(head) :]
    next_user = next((n for n, message in enumerate(rest) if n and message["role"] == "user"), None)
    return None if next_user is None else head + rest[next_user:]
