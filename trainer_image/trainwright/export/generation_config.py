"""generation_config.json of the deliverable: the base's wishes, mended by weights already, and our stop tokens.

Whatever is wrong with a wish, saving must not fail after hours of training: then only the token ids are written, and
a warning says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
IDS = ("eos_token_id", "bos_token_id", "pad_token_id")


def generation_config(base: Path, *, stop_ids: Sequence[int], bos_id: int | None, pad_id: int) -> Any:
    """A GenerationConfig that can be saved; `base` is the base's generation_config.json, which may be absent."""
    from transformers import GenerationConfig

    stop = stop_ids[0] if len(stop_ids) == 1 else list(stop_ids)
    ids = dict(zip(IDS, (stop, bos_id, pad_id), strict=True))
    try:
        wishes = json.loads(base.read_text("utf-8")) if base.exists() else {}
        made: Any = GenerationConfig(**(wishes | ids))  # type: ignore[no-untyped-call]
        made.validate(strict=True)
    except (ValueError, TypeError) as error:
        log.warning("generation_config.json of the base is left out: %s", str(error).split("\n", maxsplit=1)[0])
        made = GenerationConfig(**ids)  # type: ignore[no-untyped-call]
    return made
