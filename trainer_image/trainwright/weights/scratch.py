"""The config.json of a model from scratch: a preset, or the user's own, with the vocabulary of the run's tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainwright.api.model import Scratch
from trainwright.contract import RunConfig
from trainwright.errors import BadInput
from trainwright.models import PRESETS, parameter_count
from trainwright.storage import list_files

_TOKENIZER_KEYS = ("bos_token_id", "eos_token_id", "pad_token_id")


def scratch_config(scratch: Scratch, config: RunConfig, vocabulary_size: int) -> dict[str, Any]:
    """The shape to draw weights for, with `vocabulary_size` embeddings; its special ids are left to the tokenizer.

    Raises:
        BadInput: the config.json is not one, or its architecture is unknown.
    """
    shape = dict(PRESETS[scratch.preset]) if scratch.preset else _own(scratch, config)
    shape |= dict.fromkeys(_TOKENIZER_KEYS)
    shape["vocab_size"] = vocabulary_size
    parameter_count(shape)
    return shape


def _own(scratch: Scratch, config: RunConfig) -> dict[str, Any]:
    assert scratch.config is not None
    files = {Path(file.name).name: file for file in list_files(scratch.config, config)}
    file = files.get("config.json") or (next(iter(files.values())) if len(files) == 1 else None)
    if file is None:
        raise BadInput(f"{scratch.config} holds no config.json", hint="name a config.json of transformers")
    try:
        with file.open() as opened:
            shape = json.load(opened)
    except ValueError as error:
        raise BadInput(f"{scratch.config} is not JSON: {error}", hint="name a config.json of transformers") from error
    if not isinstance(shape, dict) or "auto_map" in shape:
        raise BadInput(
            f"{scratch.config} is not a config.json that can be used without code of its own",
            hint="name a config.json of an architecture that transformers has",
        )
    return shape
