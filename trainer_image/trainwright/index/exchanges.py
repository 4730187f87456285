"""Conversations → exchanges: each target response with the turn before it, the unit that is embedded and found.

In: canonical rows (formats/rows.py). Out: id (uuid5 of row id and turn), row, turn, prompt, response, source, split.
System turns are nobody's prompt; a response that only calls tools is the calls' JSON; plain text has an empty prompt.
"""

from __future__ import annotations

import hashlib

import polars as pl

COLUMNS = ["id", "messages", "source", "split"]
"""What is read of the canonical rows."""
NAMESPACE = hashlib.sha1(b"trainwright.dev/exchange", usedforsecurity=False).digest()[:16]


def exchanges_of(rows: pl.DataFrame) -> pl.DataFrame:
    """The target exchanges of the rows, in order."""
    turns = (
        rows.select(pl.col("id").alias("row"), "source", "split", "messages")
        .with_columns(turn=pl.int_ranges(pl.col("messages").list.len(), dtype=pl.UInt32))
        .explode("messages", "turn", empty_as_null=False, keep_nulls=False)
        .unnest("messages")
        .with_columns(said=pl.coalesce("content", "toolCalls"))
    )
    spoken = pl.when(pl.col("role") != "system").then(pl.col("said"))
    found = (
        turns.with_columns(prompt=spoken.shift(1), follows=pl.col("turn") > 0)
        .filter((pl.col("role") == "assistant") & pl.col("train") & (pl.col("said").str.len_bytes() > 0))
        .with_columns(prompt=pl.when("follows").then("prompt").fill_null(""), response=pl.col("said"))
    )
    found = found.select("row", "turn", "prompt", "response", "source", pl.col("split").fill_null("train"))
    return found.with_columns(id=pl.Series(_uuids(found["row"], found["turn"]), dtype=pl.Binary))


def _uuids(rows: pl.Series, turns: pl.Series) -> list[bytes]:
    """Name-based UUIDs (RFC 9562, version 5) of `row in hex/turn`, as 16 bytes."""
    return [_uuid(row, turn) for row, turn in zip(rows, turns, strict=True)]


def _uuid(row: bytes, turn: int) -> bytes:
    digest = bytearray(
        hashlib.sha1(b"%b%b/%d" % (NAMESPACE, row.hex().encode(), turn), usedforsecurity=False).digest()[:16]
    )
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
