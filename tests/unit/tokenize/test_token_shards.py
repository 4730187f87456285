"""The token shards: what is written is read back, packs and partitions in order, and damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trainwright.errors import PreflightFailed
from trainwright.formats.tokens import Sequences, TokenShards, write_shard


def sequences(lengths: list[int], first: int = 0) -> Sequences:
    tokens = np.arange(first, first + sum(lengths), dtype=np.uint32)
    rows = np.stack([np.full(16, n, np.uint8) for n in range(len(lengths))]) if lengths else np.zeros((0, 16), np.uint8)
    return Sequences(tokens=tokens, targets=tokens % 3 == 0, lengths=np.array(lengths, np.int32), rows=rows)


def write(folder: Path, number: int, lengths: list[int], packs: list[list[int]], vocabulary_size: int = 70_000) -> Path:
    return write_shard(folder, number, sequences(lengths), packs, vocabulary_size=vocabulary_size, sequence_length=16)


@pytest.mark.parametrize("vocabulary_size", [4096, 70_000])
def test_packs_come_back_with_tokens_targets_and_row_ids(tmp_path: Path, vocabulary_size: int) -> None:
    write(tmp_path, 0, [5, 3, 7, 4], [[2, 0], [3], [1]], vocabulary_size)
    shards = TokenShards(tmp_path)
    pack = shards.pack(0)
    assert pack.tokens.dtype == np.uint32 and pack.tokens.tolist() == [*range(8, 15), *range(5)]
    assert pack.targets.tolist() == [token % 3 == 0 for token in pack.tokens]
    assert pack.lengths.tolist() == [7, 5]
    assert pack.rows == [bytes([2] * 16), bytes([0] * 16)]
    assert shards.pack(1).tokens.tolist() == [15, 16, 17, 18]
    assert shards.pack(1).targets.tolist() == [True, False, False, True]
    assert (shards.vocabulary_size, shards.sequence_length) == (vocabulary_size, 16)


def test_counts_per_pack_need_no_tokens(tmp_path: Path) -> None:
    part = write(tmp_path, 0, [5, 3, 7, 4], [[2, 0], [3], [1]])
    shards = TokenShards(tmp_path)
    assert part.name == "part-00000"
    assert shards.tokens_per_pack.tolist() == [12, 4, 3]
    assert shards.targets_per_pack.tolist() == [sum(shards.pack(n).targets) for n in range(3)]
    assert (shards.token_count, shards.target_count, shards.sequence_count, shards.pack_count) == (19, 7, 4, 3)


def test_packs_are_numbered_through_all_partitions(tmp_path: Path) -> None:
    write(tmp_path, 0, [2, 3], [[0], [1]])
    write(tmp_path, 1, [], [])
    write(tmp_path, 2, [4], [[0]])
    shards = TokenShards(tmp_path)
    assert [len(shards.pack(n).tokens) for n in range(shards.pack_count)] == [2, 3, 4]
    with pytest.raises(IndexError):
        shards.pack(3)


def test_a_split_without_sequences_can_be_opened(tmp_path: Path) -> None:
    write(tmp_path, 0, [], [])
    assert TokenShards(tmp_path).pack_count == 0


@pytest.mark.parametrize("name", ["tokens.npy", "rows.npy", "packs.npy", "shard.json"])
def test_a_truncated_shard_is_named(tmp_path: Path, name: str) -> None:
    part = write(tmp_path, 0, [5, 3, 7, 4], [[2, 0], [3], [1]])
    (part / name).write_bytes((part / name).read_bytes()[:-8])
    with pytest.raises(PreflightFailed, match="part-00000"):
        TokenShards(tmp_path)


def test_a_missing_split_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PreflightFailed, match="holds no token shards"):
        TokenShards(tmp_path / "train")
