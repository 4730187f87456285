"""generation_config.json of the deliverable: the base model's wishes where they make sense, our stop tokens always.

A base's file may contradict itself (a temperature without sampling), hold keys nobody knows or ids outside the
vocabulary: loading accepts that, saving raises after hours of training. Here it is mended, and what was changed is
said.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
"""Settings that mean something only while sampling."""
KEPT = ("do_sample", *SAMPLING, "repetition_penalty", "no_repeat_ngram_size", "max_length", "max_new_tokens")
"""What is taken over from a base; ids come from the tokenizer."""


def mended_generation_config(base: Path, *, stop_ids: Sequence[int], bos_id: int | None, pad_id: int) -> Any:
    """A GenerationConfig that saves and loads; `base`, the base's generation_config.json, may be absent or broken."""
    from transformers import GenerationConfig

    wishes, changes = _wishes(base)
    ids = {"eos_token_id": list(stop_ids), "bos_token_id": bos_id, "pad_token_id": pad_id}
    try:
        config = GenerationConfig(**wishes, **ids)  # type: ignore[no-untyped-call]
        config.validate(strict=True)
    except (ValueError, TypeError) as error:
        changes.append(f"all but the token ids ({str(error).splitlines()[0]})")
        config = GenerationConfig(**ids)  # type: ignore[no-untyped-call]
    if changes:
        log.warning("the base's generation_config.json is mended, left out: %s", "; ".join(changes))
    return config


def _wishes(base: Path) -> tuple[dict[str, Any], list[str]]:
    """What of the base's file can stay, and in words what cannot."""
    try:
        found = json.loads(base.read_text("utf-8"))
    except FileNotFoundError:
        return {}, []
    except ValueError:
        return {}, ["everything (it is not JSON)"]
    wishes = {name: value for name, value in found.items() if name in KEPT and value is not None}
    changes = []
    if not wishes.get("do_sample"):
        idle = [name for name in SAMPLING if name in wishes]
        changes += [f"{name} (nothing is sampled)" for name in idle if wishes[name] not in (1.0, 50)]
        wishes = {name: value for name, value in wishes.items() if name not in idle}
    return wishes, changes
