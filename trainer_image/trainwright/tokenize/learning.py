"""Learns a byte-level BPE tokenizer from the training rows; the same rows give the same one on any number of threads.

Of more than 64 MB of text, rows are sampled by a hash of seed and id.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from trainwright.errors import BadInput
from trainwright.formats.rows import read_parts
from trainwright.tokenize.repeats import row_ids, uniform

SAMPLE_BYTES = 64 << 20
END_OF_TEXT = "<|endoftext|>"


def learn_tokenizer(rows: Path, vocabulary_size: int, seed: int, special_tokens: list[str]) -> Tokenizer:
    """Learn merges from contents of all roles, tool calls and tool descriptions of the training rows.

    Special tokens come first, then the 256 bytes: any text can be encoded. Fewer tokens than asked for are learnt if
    the text has no more pairs.

    Raises:
        BadInput: there is no training row.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=special_tokens,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    total_bytes = sum(_bytes(frame) for frame in _training_rows(rows))
    if not total_bytes:
        raise BadInput("there are no training rows to learn a tokenizer from", hint="loosen data.prepare or data.split")
    tokenizer.train_from_iterator(_texts(rows, SAMPLE_BYTES / total_bytes, seed), trainer)
    return tokenizer


def _training_rows(rows: Path) -> Iterator[pl.DataFrame]:
    for frame in read_parts(rows, columns=["id", "messages", "tools", "split"]):
        yield frame.filter(pl.col("split") == "train")


def _contents(frame: pl.DataFrame) -> pl.Series:
    turns = (
        frame["messages"].explode().struct.unnest() if frame.height else pl.DataFrame({"content": [], "toolCalls": []})
    )
    texts = [turns["content"].cast(pl.String), turns["toolCalls"].cast(pl.String), frame["tools"].cast(pl.String)]
    return pl.concat(texts).drop_nulls()


def _bytes(frame: pl.DataFrame) -> int:
    return int(_contents(frame).str.len_bytes().sum())


def _texts(rows: Path, share: float, seed: int) -> Iterator[list[str]]:
    for frame in _training_rows(rows):
        taken = frame
        if share < 1:
            taken = frame.filter(pl.Series(uniform(row_ids(frame["id"]), seed, copy=1) < share))
        yield _contents(taken).str.strip_chars().to_list()
