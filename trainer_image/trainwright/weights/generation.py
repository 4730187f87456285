"""Mends generation_config.json, so that nothing in it can make saving or generating fail after hours of training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "generation_config.json"
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
KNOWN = frozenset(
    (
        *SAMPLING,
        "do_sample",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "max_length",
        "max_new_tokens",
        "min_length",
        "min_new_tokens",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "use_cache",
        "transformers_version",
        "_from_model_config",
    )
)
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def mend_generation_config(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """Rewrite `folder`/generation_config.json without contradictions and return what was changed, one sentence each.

    Sampling settings without do_sample, unknown keys and token ids outside the vocabulary go; a missing or unreadable
    file is made from config.json.
    """
    settings, changes = _read(folder / FILE)
    unknown = sorted(set(settings) - KNOWN)
    if unknown:
        changes.append(f"{FILE}: unknown keys are removed: {', '.join(unknown)}")
    without_sampling = [name for name in SAMPLING if name in settings] if not settings.get("do_sample") else []
    if without_sampling:
        changes.append(f"{FILE}: {', '.join(without_sampling)} without do_sample are removed")
    kept = {name: value for name, value in settings.items() if name not in (*unknown, *without_sampling)}
    for name in TOKEN_IDS:
        ids = [kept[name]] if isinstance(kept.get(name), int) else list(kept.get(name) or [])
        outside = [one for one in ids if not 0 <= one < config["vocab_size"]]
        if outside:
            changes.append(f"{FILE}: {name} {outside[0]} lies outside the vocabulary and is removed")
            ids = [one for one in ids if one not in outside]
        ids = ids or _usable(config, name)
        kept.pop(name, None)
        if ids:
            kept[name] = ids[0] if len(ids) == 1 else ids
    (folder / FILE).write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return changes


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    if not path.exists():
        return {}, []
    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError:
        settings = None
    if isinstance(settings, dict):
        return settings, []
    return {}, [f"{path.name} cannot be read and is made anew"]


def _usable(config: Mapping[str, Any], name: str) -> list[int]:
    value = config.get(name)
    ids = value if isinstance(value, list) else [value]
    return [one for one in ids if isinstance(one, int) and 0 <= one < config["vocab_size"]]
