"""Token shards: packed sequences of token ids as memory-mapped arrays, one folder per partition of the rows.

`SPLIT/part-NNNNN/` holds tokens.npy (uint16 or uint32, flat), targets.npy (one bit a token), lengths.npy (int32, per
sequence), rows.npy (uint8, 16 per sequence: the id of its row), packs.npy (int64, per pack: sequences, tokens, targets)
and shard.json. Sequences lie in the order of their packs. A target is a token that is predicted from those before it in
its sequence, so the first token of a sequence is never one. The order in which packs are trained on is left to train.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainwright.errors import PreflightFailed

ROW_ID_BYTES = 16
SHARD = "shard.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """Sequences one after another: `tokens` and `targets` are flat, `lengths` cuts them, `rows` has 16 bytes each."""

    tokens: npt.NDArray[np.uint32]
    targets: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int32]
    rows: npt.NDArray[np.uint8]

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each sequence begins in `tokens`, and the end of the last."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Sequences that share one row of a micro-batch; attention and positions begin anew with each."""

    tokens: npt.NDArray[np.uint32]
    targets: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int32]
    rows: list[bytes]


def write_shard(
    folder: Path,
    number: int,
    sequences: Sequences,
    packs: list[list[int]],
    *,
    vocabulary_size: int,
    sequence_length: int,
) -> Path:
    """Write one shard; `packs` has the numbers of the sequences in each pack, repeated ones as often as they occur."""
    part = folder / f"part-{number:05d}"
    part.mkdir(parents=True, exist_ok=True)
    order = np.fromiter((n for pack in packs for n in pack), np.int64)
    tokens, targets = _reordered(sequences, order)
    lengths = sequences.lengths[order]
    np.save(part / "tokens.npy", tokens.astype(np.uint16 if vocabulary_size <= 1 << 16 else np.uint32))
    np.save(part / "targets.npy", np.packbits(targets))
    np.save(part / "lengths.npy", lengths.astype(np.int32))
    np.save(part / "rows.npy", sequences.rows[order].reshape(-1, ROW_ID_BYTES))
    np.save(part / "packs.npy", _pack_table(packs, lengths, targets))
    facts = {
        "packs": len(packs),
        "sequences": len(lengths),
        "tokens": len(tokens),
        "targets": int(targets.sum()),
        "vocabularySize": vocabulary_size,
        "sequenceLength": sequence_length,
    }
    (part / SHARD).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    return part


def _reordered(
    sequences: Sequences, order: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    starts, lengths = sequences.offsets[:-1][order], sequences.lengths[order].astype(np.int64)
    before = np.concatenate(([0], np.cumsum(lengths)))[:-1]
    index = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(starts - before, lengths)
    return sequences.tokens[index], sequences.targets[index]


def _pack_table(
    packs: list[list[int]], lengths: npt.NDArray[np.int32], targets: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    counts = np.fromiter((len(pack) for pack in packs), np.int64, len(packs))
    sequence_ends = np.concatenate(([0], np.cumsum(counts)))
    token_ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))[sequence_ends]
    target_ends = np.concatenate(([0], np.cumsum(targets, dtype=np.int64)))[token_ends]
    return np.stack([counts, np.diff(token_ends), np.diff(target_ends)], axis=1).astype(np.int64)


class TokenShards:
    """Reads all shards of a split; packs are numbered through them in order. Opening reads tables, never tokens.

    Raises:
        PreflightFailed: a shard is missing, truncated or inconsistent; its path is named.
    """

    def __init__(self, folder: Path) -> None:
        self._shards = [_Shard(part) for part in sorted(folder.glob("part-*"))]
        if not self._shards:
            raise PreflightFailed(
                f"{folder} holds no token shards", hint="run the stage tokenize again with --fresh tokenize"
            )
        self.vocabulary_size = self._shards[0].vocabulary_size
        self.sequence_length = self._shards[0].sequence_length
        table = np.concatenate([shard.table for shard in self._shards])
        self.tokens_per_pack: npt.NDArray[np.int64] = table[:, 1]
        self.targets_per_pack: npt.NDArray[np.int64] = table[:, 2]
        self.sequence_count = int(table[:, 0].sum())
        self.token_count = int(table[:, 1].sum())
        self.target_count = int(table[:, 2].sum())
        self.pack_count = len(table)
        self._ends = np.cumsum([len(shard.table) for shard in self._shards])

    def pack(self, number: int) -> Pack:
        """Read pack `number`, 0 <= number < pack_count; its arrays are copies."""
        if not 0 <= number < self.pack_count:
            raise IndexError(f"pack {number} of {self.pack_count}")
        place = int(np.searchsorted(self._ends, number, side="right"))
        return self._shards[place].pack(number - int(self._ends[place - 1] if place else 0))


class _Shard:
    def __init__(self, part: Path) -> None:
        try:
            facts = json.loads((part / SHARD).read_text("utf-8"))
            self._tokens, self._targets, self._lengths, self._rows, packs = (
                np.load(part / f"{name}.npy", mmap_mode="r" if facts["tokens"] else None)
                for name in ("tokens", "targets", "lengths", "rows", "packs")
            )
            self.table: npt.NDArray[np.int64] = np.array(packs)
            self.vocabulary_size, self.sequence_length = int(facts["vocabularySize"]), int(facts["sequenceLength"])
            sums = [int(total) for total in self.table.sum(axis=0)]
            found = [len(self.table), len(self._lengths), len(self._tokens), len(self._targets), len(self._rows), *sums]
            bits = (facts["tokens"] + 7) // 8
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _broken(part) from error
        sequences, tokens, targets = facts["sequences"], facts["tokens"], facts["targets"]
        if found != [facts["packs"], sequences, tokens, bits, sequences, sequences, tokens, targets]:
            raise _broken(part)
        self._sequence_ends = np.concatenate(([0], np.cumsum(self.table[:, 0])))
        self._token_ends = np.concatenate(([0], np.cumsum(self.table[:, 1])))

    def pack(self, number: int) -> Pack:
        first, last = self._sequence_ends[number : number + 2]
        start, end = (int(place) for place in self._token_ends[number : number + 2])
        bits = np.unpackbits(self._targets[start // 8 : (end + 7) // 8])[start % 8 : start % 8 + end - start]
        return Pack(
            tokens=self._tokens[start:end].astype(np.uint32),
            targets=bits.astype(np.bool_),
            lengths=np.array(self._lengths[first:last]),
            rows=[row.tobytes() for row in self._rows[first:last]],
        )


def _broken(part: Path) -> PreflightFailed:
    return PreflightFailed(
        f"the token shard {part} is truncated or inconsistent",
        hint="make it again: --fresh tokenize, then the same command",
    )
