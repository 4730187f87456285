"""Mends token ids and generation settings, so that none can make saving or generating fail after hours of training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "generation_config.json"
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
OUTPUTS = ("output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate")
"""What a call of generate returns: no property of a model, and contradictory in many files; removed without a word."""
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


def mend_config(folder: Path, config: dict[str, Any]) -> list[str]:
    """Take token ids outside the vocabulary out of `config` and config.json; returns what was changed."""
    outside = [
        name for name in TOKEN_IDS if config.get(name) is not None and _usable(config, name) != _ids(config, name)
    ]
    for name in outside:
        usable = _usable(config, name)
        config[name] = usable if len(usable) > 1 else usable[0] if usable else None
    if outside:
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    return [f"config.json: {name} lies outside the vocabulary and is removed" for name in outside]


def mend_generation_config(folder: Path, config: Mapping[str, Any]) -> list[str]:
    """Rewrite `folder`/generation_config.json without contradictions and return what was changed, one sentence each.

    Sampling settings without do_sample, unknown keys and token ids outside the vocabulary go; a missing or unreadable
    file is made from config.json.
    """
    settings, changes = _read(folder / FILE)
    settings = {name: value for name, value in settings.items() if name not in OUTPUTS}
    unknown = sorted(set(settings) - KNOWN)
    if unknown:
        changes.append(f"{FILE}: unknown keys are removed: {', '.join(unknown)}")
    without_sampling = [name for name in SAMPLING if name in settings] if not settings.get("do_sample") else []
    if without_sampling:
        changes.append(f"{FILE}: {', '.join(without_sampling)} without do_sample are removed")
    kept = {name: value for name, value in settings.items() if name not in (*unknown, *without_sampling)}
    for name in TOKEN_IDS:
        ids = _ids(kept, name)
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


def _ids(settings: Mapping[str, Any], name: str) -> list[int]:
    value = settings.get(name)
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)]


def _usable(config: Mapping[str, Any], name: str) -> list[int]:
    return [one for one in _ids(config, name) if 0 <= one < config["vocab_size"]]
