"""Greedy answers: the same as one at a time, whatever shares their batch."""

from __future__ import annotations

import pytest
import torch
from trainwright.evaluate import generation
from trainwright.evaluate.generation import answer

from tests.tiny_run import tiny_model

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14, 15], [20, 21], [5, 6, 7, 8, 9]]


@pytest.fixture(scope="module")
def model():
    return tiny_model(64, initializer_range=0.3).eval()


@torch.inference_mode()
def one_by_one(model, prompt, new_tokens, stop_ids):
    ids = list(prompt)
    for _ in range(new_tokens):
        token = int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
        if token in stop_ids:
            break
        ids.append(token)
    return ids[len(prompt) :]


def test_a_batch_answers_as_each_prompt_alone_without_cache(model):
    found = answer(model, PROMPTS, max_new_tokens=12, stop_ids=[], pad_id=0)
    assert found == [one_by_one(model, prompt, 12, []) for prompt in PROMPTS]


def test_an_answer_ends_before_its_stop_token_while_others_go_on(model):
    free = [one_by_one(model, prompt, 12, []) for prompt in PROMPTS]
    stop = next(token for token in free[0][1:] if any(token not in other for other in free))
    found = answer(model, PROMPTS, max_new_tokens=12, stop_ids=[stop], pad_id=0)
    assert found == [one_by_one(model, prompt, 12, [stop]) for prompt in PROMPTS]
    assert len(set(map(len, found))) > 1


def test_answers_come_in_the_order_of_the_prompts_over_several_batches(model, monkeypatch):
    monkeypatch.setattr(generation, "ROWS_PER_BATCH", 2)
    heard = []
    found = answer(model, PROMPTS, max_new_tokens=4, stop_ids=[], pad_id=0, on_answers=heard.append)
    assert found == [one_by_one(model, prompt, 4, []) for prompt in PROMPTS]
    assert heard == [2, 4, 5]


def test_the_generation_config_has_no_say(model):
    before = answer(model, PROMPTS, max_new_tokens=6, stop_ids=[], pad_id=0)
    model.generation_config.repetition_penalty = 5.0
    model.generation_config.do_sample = True
    assert answer(model, PROMPTS, max_new_tokens=6, stop_ids=[], pad_id=0) == before


def test_no_prompts_no_answers(model):
    assert answer(model, [], max_new_tokens=4, stop_ids=[], pad_id=0) == []
