"""Boilerplate: grams that a large share of one source holds say nothing about which of its exchanges are alike.

Instructions, tool descriptions and forms that stand in every prompt of a source make all its rows look alike, and one
false cluster would eat the source. Such grams take no part, for all sources, so that any two rows are compared alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.prepare.batch import Mask, turns_of
from trainwright.prepare.duplicates.exchanges import exchanges_of
from trainwright.prepare.duplicates.grams import KEY_BITS, PROMPT, RESPONSE, bytes_of, hash_of, keys_of
from trainwright.prepare.work import SliceTask

SAMPLE = 4_096
"""Exchanges of each source that are looked at, taken by hash: a share of 20 % is then known to 1.3 %."""
LEAST_SHARE = 0.2
"""Of the exchanges of a source. Up to five forms in one source are seen; of 131,569 exchanges of chat 10 grams are left
out, and no planted copy is missed for it."""
LEAST_EXCHANGES = 50
"""In small sources a few copies must not pass for a form."""
LEAST_TABLE_BITS = 16


def sample_rates(exchanges_by_source: Mapping[str, int]) -> dict[str, float]:
    """The share of each source's exchanges that is looked at."""
    return {source: min(1.0, SAMPLE / max(count, 1)) for source, count in exchanges_by_source.items()}


def count_slice(task: SliceTask) -> None:
    """Leave the counts of the `grams` of one slice."""
    rows = task.slice.load(task.work.folder, "mapped", ["id", "source", "messages"])
    task.slice.save(task.work.folder, "grams", count_grams(rows, task.work.rates))


def count_grams(rows: pl.DataFrame, rates: Mapping[str, float]) -> pl.DataFrame:
    """How many sampled exchanges of each source hold a gram: source, gram, count; gram null counts the exchanges."""
    counts = [pl.DataFrame(schema={"source": pl.String, "gram": pl.UInt64, "count": pl.UInt32})]
    for (source,), of_source in rows.group_by("source", maintain_order=True):
        exchanges = exchanges_of(of_source, _sample(of_source, rates.get(str(source), 0.0)))
        keys = [keys_of(bytes_of(exchanges["prompt"]), PROMPT), keys_of(bytes_of(exchanges["response"]), RESPONSE)]
        grams, held = np.unique(np.concatenate(keys) & np.uint64((1 << KEY_BITS) - 1), return_counts=True)
        of_grams = pl.DataFrame({"gram": grams, "count": held.astype(np.uint32)})
        total = pl.DataFrame({"gram": [None], "count": [exchanges.height]}, schema=of_grams.schema)
        counts.append(pl.concat([total, of_grams]).select(pl.lit(source, pl.String).alias("source"), "gram", "count"))
    return pl.concat(counts)


def _sample(rows: pl.DataFrame, rate: float) -> pl.DataFrame:
    """Targets of the rows, by row and turn, taken by a hash of id and turn."""
    targets = turns_of(rows.select("messages")).filter(pl.col("exchange") & pl.col("train")).select("row", "turn")
    number = rows["id"].bin.slice(0, 4).bin.reinterpret(dtype=pl.UInt32).to_numpy()[targets["row"].to_numpy()]
    mixed = (number + targets["turn"].to_numpy() * np.uint32(0x9E3779B1)) * np.uint32(0x85EBCA77)
    return targets.filter(pl.Series(mixed < rate * 2.0**32, dtype=pl.Boolean))


def boilerplate_of(counts: pl.LazyFrame) -> npt.NDArray[np.uint64]:
    """The grams that are left out, from the counts of all slices."""
    summed = counts.group_by("source", "gram").agg(pl.col("count").sum()).collect()
    totals = summed.filter(pl.col("gram").is_null()).select("source", total="count")
    grams = summed.drop_nulls().join(totals, on="source")
    least = pl.max_horizontal(pl.lit(LEAST_EXCHANGES), LEAST_SHARE * pl.col("total"))
    return np.unique(grams.filter(pl.col("count") >= least)["gram"].to_numpy())


def table_of(path: Path) -> Mask:
    """A table by the upper bits of a gram's hash: is it left out? So large that few others are: at most 1 in 64."""
    grams = np.load(path)
    bits = max(LEAST_TABLE_BITS, (64 * len(grams)).bit_length())
    table = np.zeros(1 << bits, dtype=bool)
    table[hash_of(grams) >> np.uint32(32 - bits)] = True
    return table


def is_left_out(table: Mask, hashes: npt.NDArray[np.uint32]) -> Mask:
    """Which grams take no part, by their hashes."""
    bits = len(table).bit_length() - 1
    found: Mask = table[hashes >> np.uint32(32 - bits)]
    return found
