"""Loads an exported model as its users will, with transformers alone.

Run by reload.py as `python -I -c SOURCE FOLDER SAMPLE`. In: the folder, and a JSON file {packs: [{tokens, targets,
lengths}], prompts: [messages], newTokens}. Out: one JSON line on stdout {loss, promptIds, firstTokenSeconds,
tokensPerSecond, parameters}. Importing trainwright is made impossible.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.modules["trainwright"] = None  # type: ignore[assignment]


def main(folder: str, sample_file: str) -> None:
    """Print what a user of the folder gets."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sample = json.loads(Path(sample_file).read_text("utf-8"))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto")
    model.eval()
    prompts = [
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        for messages in sample["prompts"]
    ]
    with torch.inference_mode():
        found = {
            "loss": loss(model, sample["packs"]),
            "promptIds": prompts,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            **speed(model, torch.tensor([prompts[0]]), sample["newTokens"]),
        }
    sys.stdout.write(json.dumps(found) + "\n")


def loss(model: Any, packs: list[dict[str, Any]]) -> float:
    """Mean negative log-likelihood of the targets, each sequence by itself as one row without padding."""
    import torch

    nll, count = 0.0, 0
    for pack in packs:
        start = 0
        for length in pack["lengths"]:
            tokens = torch.tensor(pack["tokens"][start : start + length])
            targets = torch.tensor(pack["targets"][start : start + length]).nonzero()[:, 0]
            start += length
            if len(targets):
                logits = model(input_ids=tokens[None], use_cache=False, logits_to_keep=targets - 1).logits[0]
                scores = logits.float().log_softmax(-1).gather(1, tokens[targets, None])
                nll -= float(scores.double().sum())
                count += len(targets)
    return nll / count


def speed(model: Any, prompt: Any, new_tokens: int) -> dict[str, float]:
    """Seconds to the first token, and tokens per second after it, both after one warm-up."""
    options = {"do_sample": False, "pad_token_id": model.generation_config.pad_token_id or 0}
    model.generate(prompt, max_new_tokens=1, **options)
    start = time.perf_counter()
    model.generate(prompt, max_new_tokens=1, **options)
    first = time.perf_counter() - start
    start = time.perf_counter()
    model.generate(prompt, max_new_tokens=new_tokens, min_new_tokens=new_tokens, **options)
    rest = max(time.perf_counter() - start - first, 1e-9)
    return {"firstTokenSeconds": first, "tokensPerSecond": (new_tokens - 1) / rest}


if __name__ == "__main__":
    main(*sys.argv[1:])
