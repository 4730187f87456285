"""The order of work in tokenize: settle lengths and tokenizer, encode each partition of each split, count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from trainwright.artifacts import Inputs
from trainwright.chat_template import ChatTemplate
from trainwright.contract import Report, RunConfig
from trainwright.errors import BadInput
from trainwright.formats.rows import part_files
from trainwright.formats.tokens import TokenShards
from trainwright.tokenize.partitions import SPLITS, Partitions
from trainwright.tokenize.tokenizer_folder import Model, write_tokenizer
from trainwright.tokenize.unigram import unigram_loss

DEFAULT_LENGTH = 2048


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """See `trainwright.tokenize.run`."""
    weights, rows = inputs["weights"], inputs["prepare"].folder / "rows"
    model = Model(
        config=json.loads((weights.folder / "model" / "config.json").read_text("utf-8")),
        scratch=bool(weights.metrics["scratch"]),
    )
    length, how = sequence_length(config.spec.training.sequence_length, int(weights.metrics["maxPositions"]))
    own = weights.folder / "tokenizer"
    template, choice = write_tokenizer(
        config, model, own if own.is_dir() else None, rows, output / "tokenizer", tools=_has_tools(rows)
    )
    vocabulary_size = _vocabulary_size(model, template)
    (output / "template.json").write_text(
        json.dumps({"name": choice.name, "note": choice.note, "stopIds": template.stop_ids}, indent=1) + "\n", "utf-8"
    )
    partitions = Partitions(config, template, length, vocabulary_size)
    partitions.write(rows, output)
    shards = {split: TokenShards(output / split) for split in SPLITS}
    if not shards["train"].sequence_count and config.spec.goal == "Train":
        raise _nothing_left(partitions.counts, length)
    return _report(partitions, shards, [how, choice.note])


def sequence_length(wanted: int | None, limit: int) -> tuple[int, str]:
    """The tokens of a sequence, and a sentence if nobody chose them.

    Raises:
        BadInput: more than the model's position limit were asked for.
    """
    if wanted is None:
        length = min(DEFAULT_LENGTH, limit)
        return length, f"Sequences have {length} tokens."
    if wanted > limit:
        raise BadInput(
            f"training.sequenceLength is {wanted}, but the model has only {limit} positions",
            hint=f"set training.sequenceLength to at most {limit}",
        )
    return wanted, ""


def _has_tools(rows: Path) -> bool:
    scan = pl.scan_parquet(part_files(rows)) if part_files(rows) else None
    if scan is None:
        return False
    calls = pl.col("messages").list.eval(pl.element().struct.field("toolCalls").is_not_null()).list.any()
    return bool(scan.select((pl.col("tools").is_not_null() | calls).any()).collect().item())


def _vocabulary_size(model: Model, template: ChatTemplate) -> int:
    """Rows of the embedding: the model's if it has weights, else one for each token."""
    size = template.vocabulary_size
    if model.scratch:
        return size
    if size > model.config["vocab_size"]:
        raise BadInput(
            f"the tokenizer has {size} tokens, the model only {model.config['vocab_size']}",
            hint="leave model.tokenizer out to use the model's own",
        )
    return int(model.config["vocab_size"])


def _nothing_left(counts: Mapping[str, int], length: int) -> BadInput:
    dropped = {name.removeprefix("dropped."): n for name, n in counts.items() if name.startswith("dropped.") and n}
    reasons = ", ".join(f"{name} {n}" for name, n in sorted(dropped.items())) or "no row is in the split train"
    return BadInput(
        f"no training row can be used with sequences of {length} tokens: {reasons}",
        hint="raise training.sequenceLength or set training.truncation to KeepEnd",
    )


def _report(partitions: Partitions, shards: Mapping[str, TokenShards], remarks: list[str]) -> Report:
    train = shards["train"]
    room = train.pack_count * train.sequence_length
    waste = 1 - train.token_count / room if room else 0.0
    counts = {
        "tokens": train.token_count,
        "targets": train.target_count,
        "sequences": train.sequence_count,
        "packs": train.pack_count,
        **{f"{split}Targets": shards[split].target_count for split in ("validation", "test")},
        **{f"{split}Sequences": shards[split].sequence_count for split in ("validation", "test")},
        **partitions.counts,
    }
    metrics: dict[str, Any] = {
        "unigramLoss": unigram_loss(partitions.said["train"], partitions.said["validation"]),
        "packingWaste": round(waste, 6),
        "sequenceLength": train.sequence_length,
        "longestSequence": partitions.longest,
        "vocabularySize": train.vocabulary_size,
        "perSource": {name: dict(counter) for name, counter in partitions.per_source.items()},
    }
    said = f"{train.token_count:,} tokens in {train.sequence_count:,} sequences and {train.pack_count:,} packs."
    return Report(message=" ".join(filter(None, [said, *remarks])), counts=counts, metrics=metrics)
