"""Encodes the partitions of the rows into token shards and keeps the books: drops, sources, and what is answered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.chat_template import ChatTemplate
from trainwright.contract import RunConfig, source_names
from trainwright.errors import BadInput
from trainwright.formats.rows import part_files
from trainwright.formats.tokens import write_shard
from trainwright.progress import Progress
from trainwright.tokenize.cutting import Cutter, Rules
from trainwright.tokenize.packing import pack
from trainwright.tokenize.repeats import repeats, row_ids, uniform
from trainwright.tokenize.sequences import COLUMNS, Encoded, encode_rows

SPLITS = ("train", "validation", "test")


class Partitions:
    """One shard per split for each partition; the figures add up over partitions in any order."""

    def __init__(self, config: RunConfig, template: ChatTemplate, length: int, vocabulary_size: int) -> None:
        spec = config.spec
        self.config, self.length, self.vocabulary_size = config, length, vocabulary_size
        objective = spec.training.objective or ("Pretrain" if spec.model and spec.model.scratch else "Finetune")
        self._cutters = {
            split: Cutter(
                template,
                Rules(
                    sequence_length=length,
                    truncation=spec.training.truncation,
                    every_token=objective == "Pretrain" and split == "train",
                ),
            )
            for split in SPLITS
        }
        self._weights = dict(zip(source_names(spec), (source.weight for source in spec.data.sources), strict=True))
        self.per_source = {name: Counter(rows=0, repeats=0, sequences=0, neverSeen=0) for name in self._weights}
        self.said = {split: np.zeros(vocabulary_size, np.int64) for split in SPLITS}
        """How often the assistant says each token, with loss."""
        self.longest = 0
        self._done_rows = 0
        self._progress = Progress("tokenize", 0, "rows")

    @property
    def counts(self) -> dict[str, int]:
        """What was cut, truncated and dropped in all splits."""
        total: Counter[str] = Counter()
        for cutter in self._cutters.values():
            total.update(cutter.counts)
        return dict(total)

    def write(self, rows: Path, output: Path) -> None:
        """Write the shards of all partitions.

        Raises:
            BadInput: there is no partition.
        """
        parts = part_files(rows)
        if not parts:
            raise BadInput("prepare left no rows", hint="its counts say which step dropped them")
        total_rows = int(pl.scan_parquet(parts).select(pl.len()).collect().item())
        self._progress = Progress("tokenize", total_rows, "rows")
        for number, part in enumerate(parts):
            frame = pl.read_parquet(part, columns=[*COLUMNS, "weight", "split"])
            for split in SPLITS:
                self._write_split(frame.filter(pl.col("split") == split), split, number, output / split)
        self._advance(total_rows - self._done_rows)

    def _advance(self, rows: int) -> None:
        self._done_rows += rows
        self._progress.update(self._done_rows)

    def _write_split(self, rows: pl.DataFrame, split: str, number: int, folder: Path) -> None:
        copies = self._copies(rows) if split == "train" else np.ones(rows.height, np.int64)
        seen = rows.filter(pl.Series(copies > 0, dtype=pl.Boolean))
        encoded = encode_rows(seen, self._cutters[split], self._advance)
        copies_of_sequences = copies[copies > 0][encoded.row_numbers]
        self._count_said(split, encoded, copies_of_sequences)
        if split == "train":
            self._count_sources(rows, copies, seen["source"].gather(encoded.row_numbers), copies_of_sequences)
        self.longest = max(self.longest, int(encoded.sequences.lengths.max(initial=0)))
        write_shard(
            folder,
            number,
            encoded.sequences,
            self._packs(encoded, copies_of_sequences),
            vocabulary_size=self.vocabulary_size,
            sequence_length=self.length,
        )

    def _copies(self, rows: pl.DataFrame) -> npt.NDArray[np.int64]:
        """How often each row is seen per epoch: the weight of its source times its own."""
        source = rows["source"].replace_strict(self._weights, default=1.0, return_dtype=pl.Float64)
        weights = source * rows["weight"].cast(pl.Float64).fill_null(1.0)
        return repeats(row_ids(rows["id"]), weights.to_numpy(), self.config.spec.training.seed)

    def _count_said(self, split: str, encoded: Encoded, copies: npt.NDArray[np.int64]) -> None:
        owners = np.repeat(copies, encoded.sequences.lengths)[encoded.said]
        counts = np.bincount(encoded.sequences.tokens[encoded.said], owners, minlength=self.vocabulary_size)
        self.said[split] += counts.astype(np.int64)

    def _count_sources(
        self,
        rows: pl.DataFrame,
        copies: npt.NDArray[np.int64],
        sources: pl.Series,
        sequence_copies: npt.NDArray[np.int64],
    ) -> None:
        for name, counter in self.per_source.items():
            own = copies[(rows["source"] == name).to_numpy()]
            counter["rows"] += len(own)
            counter["repeats"] += int(own.sum())
            counter["neverSeen"] += int((own == 0).sum())
            counter["sequences"] += int(sequence_copies[(sources == name).to_numpy()].sum())

    def _packs(self, encoded: Encoded, copies: npt.NDArray[np.int64]) -> list[list[int]]:
        """Packs of all copies; the copies of a row have different places in the order, so they rarely meet."""
        numbers = np.repeat(np.arange(len(copies)), copies)
        copy = np.arange(len(numbers)) - np.repeat(np.cumsum(copies) - copies, copies)
        order = uniform(encoded.sequences.rows[numbers], self.config.spec.training.seed, copy)
        packs = pack(encoded.sequences.lengths[numbers], order, self.length, together=self.config.spec.training.packing)
        return [numbers[one].tolist() for one in packs]
