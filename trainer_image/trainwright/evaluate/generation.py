"""Greedy answers in left-padded batches with a key-value cache.

In: a model and prompts as token ids. Out: the ids of the answers, without the stop token. Only the model's arg max
decides: no sampling, penalty or length rule of a generation config has a say, so the answers depend on weights and
prompts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

ROWS_PER_BATCH = 32


@torch.inference_mode()
def answer(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Sequence[int],
    pad_id: int,
    on_answers: Callable[[int], None] = lambda count: None,
) -> list[list[int]]:
    """Continue each prompt until a stop token or `max_new_tokens`; `on_answers` hears how many are done.

    Prompts of similar length share a batch, so there is little padding; the answers come in the order of the prompts.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda n: (len(prompts[n]), n))
    for start in range(0, len(order), ROWS_PER_BATCH):
        batch = order[start : start + ROWS_PER_BATCH]
        found = _answer_batch(model, [prompts[n] for n in batch], max_new_tokens, frozenset(stop_ids), pad_id)
        for n, ids in zip(batch, found, strict=True):
            answers[n] = ids
        on_answers(start + len(batch))
    return answers


def _answer_batch(
    model: Any, prompts: list[Sequence[int]], max_new_tokens: int, stop_ids: frozenset[int], pad_id: int
) -> list[list[int]]:
    from transformers import DynamicCache

    device = next(model.parameters()).device
    width = max(map(len, prompts))
    ids_BT = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask_BT = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    positions_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    answers: list[list[int]] = [[] for _ in prompts]
    alive = list(range(len(prompts)))
    for _ in range(max_new_tokens):
        logits_BV = model(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            position_ids=positions_BT,
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        chosen = logits_BV.argmax(-1).tolist()
        going = [place for place, token in enumerate(chosen) if token not in stop_ids]
        for place in going:
            answers[alive[place]].append(chosen[place])
        if not going:
            break
        if len(going) < len(alive):
            keep = torch.tensor(going, device=device)
            cache.batch_select_indices(keep)
            mask_BT, positions_BT = mask_BT[keep], positions_BT[keep]
            alive = [alive[place] for place in going]
        ids_BT = torch.tensor([[chosen[place]] for place in going], device=device)
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(alive), 1)], dim=1)
        positions_BT = positions_BT[:, -1:] + 1
    return answers
