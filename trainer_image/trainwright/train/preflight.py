"""What must hold before the first step: model, tokenizer and tokens fit together, the disk holds what will be written.

Everything that could break a training after hours is looked at here, once, in seconds.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.errors import DoesNotFit, PreflightFailed
from trainwright.formats.tokens import TokenShards

LOG = logging.getLogger(__name__)
SAMPLED_PACKS = 2000
MARGIN_BYTES = 1 << 20


def check_model(folder: Path, tokenizer_folder: Path, shards: TokenShards, *, scratch: bool) -> None:
    """Config, tokenizer and generation config load and fit the tokens.

    Raises:
        PreflightFailed: one of them does not; the message names the file and both figures.
    """
    config = _json(folder / "config.json")
    vocabulary = shards.vocabulary_size if scratch else int(config.get("vocab_size", 0))
    limit = config.get("max_position_embeddings")
    if limit is not None and shards.sequence_length > int(limit):
        raise PreflightFailed(
            f"the sequences have {shards.sequence_length} tokens, the model in {folder} takes {limit}",
            hint=f"set training.sequenceLength to {limit} or less",
        )
    if shards.vocabulary_size > vocabulary:
        raise PreflightFailed(
            f"the tokenizer has {shards.vocabulary_size} tokens, the model in {folder} has {vocabulary}",
            hint="use the model's own tokenizer: leave out model.tokenizer",
        )
    largest = _largest_token(shards)
    if largest >= vocabulary:
        raise PreflightFailed(
            f"a token has id {largest}, the model in {folder} has {vocabulary} tokens",
            hint="make the tokens again: --fresh tokenize",
        )
    _check_tokenizer(tokenizer_folder)
    _check_generation_config(folder, vocabulary)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PreflightFailed(
            f"{path} cannot be read: {error}", hint="--fresh weights fetches the model again"
        ) from error
    return value


def _largest_token(shards: TokenShards) -> int:
    """The largest id in the first packs; writing shards is checked elsewhere, this finds a wrong vocabulary."""
    return max(int(np.max(shards.pack(number).tokens)) for number in range(min(SAMPLED_PACKS, shards.pack_count)))


def _check_tokenizer(folder: Path) -> None:
    from transformers import AutoTokenizer

    try:
        AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise PreflightFailed(
            f"the tokenizer in {folder} cannot be loaded: {error}", hint="make it again: --fresh tokenize"
        ) from error


def _check_generation_config(folder: Path, vocabulary: int) -> None:
    """It only concerns export, which mends it: here it is warned about, unless it names ids that do not exist."""
    path = folder / "generation_config.json"
    if not path.exists():
        return
    values = _json(path)
    ends = values.get("eos_token_id")
    for end in ends if isinstance(ends, list) else [ends]:
        if end is not None and int(end) >= vocabulary:
            raise PreflightFailed(
                f"{path} ends texts with token {end}, the model has {vocabulary} tokens",
                hint="correct eos_token_id in generation_config.json",
            )
    from transformers import GenerationConfig

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GenerationConfig.from_pretrained(folder).validate(strict=True)
    except ValueError as error:
        LOG.warning("%s is inconsistent and will be mended at export: %s", path, str(error).splitlines()[0])


def check_room(
    output: Path, *, checkpoint_bytes: int, candidate_bytes: int, export_bytes: int, counts: Mapping[str, int]
) -> None:
    """The disk holds all checkpoints (and one being written), all candidates (and one) and the export.

    `counts` has `checkpoints` and `candidates`: how many are kept. What lies in `output` already counts as room.

    Raises:
        DoesNotFit: it does not; the figures are named.
    """
    checkpoints, candidates = counts["checkpoints"] + 1, counts["candidates"] + 2
    needed = checkpoints * checkpoint_bytes + candidates * candidate_bytes + export_bytes + MARGIN_BYTES
    there = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    free = shutil.disk_usage(output).free + there
    if needed > free:
        raise DoesNotFit(
            f"training writes up to {needed:,} bytes to {output}: {checkpoints} checkpoints of {checkpoint_bytes:,}, "
            f"{candidates} candidates of {candidate_bytes:,}, export {export_bytes:,}; {free:,} bytes are free",
            hint="make room, choose another --workdir, or lower checkpoint.keep or evaluation.keep",
        )
