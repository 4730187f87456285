"""Figures of the rows that are kept: counts, languages, lengths, values of kept columns, and a fingerprint.

Summaries of slices add up in any order: they hold whole numbers only.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import polars_hash as plh

from trainwright.prepare.batch import turns_of

EDGES = (0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 1 << 20)
"""Bounds of the bins of lengths, characters; longer texts are in the last bin."""
MOST_VALUES = 100
"""Values of a kept column that are listed; the rest is summed as `other`."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """What is counted over kept rows; exchanges unless the name says otherwise."""

    conversations: Counter[str] = field(default_factory=Counter)
    """By split."""
    exchanges: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By source and split, with loss or not."""
    targets: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By source and split."""
    languages: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, np.ndarray] = field(default_factory=dict)
    """Histograms of prompts and responses."""
    kept: dict[str, Counter[str]] = field(default_factory=dict)
    """Values of kept columns."""
    fingerprint: int = 0

    def add(self, other: Summary) -> None:
        """Add the figures of other rows."""
        self.conversations.update(other.conversations)
        self.exchanges.update(other.exchanges)
        self.targets.update(other.targets)
        self.languages.update(other.languages)
        for side, counts in other.lengths.items():
            self.lengths[side] = self.lengths.get(side, np.zeros_like(counts)) + counts
        for column, values in other.kept.items():
            self.kept.setdefault(column, Counter()).update(values)
        self.fingerprint = (self.fingerprint + other.fingerprint) % (1 << 128)


def summarize(rows: pl.DataFrame, columns: Sequence[str]) -> Summary:
    """Count canonical rows whose split is set; `columns` are those kept in metadata."""
    turns = turns_of(rows)
    of_row = rows.select("source", "split", lang=pl.col("lang").fill_null("und"))
    exchanges = turns.filter("exchange")
    tagged = pl.concat([exchanges.select("row", "train"), of_row[exchanges["row"]]], how="horizontal")
    summary = Summary(
        conversations=_counts(rows["split"]),
        exchanges=_pairs(tagged),
        targets=_pairs(tagged.filter("train")),
        languages=_counts(tagged["lang"]),
        lengths=_lengths(turns),
        fingerprint=_fingerprint(rows, turns),
    )
    for column in columns:
        values = rows["metadata"].str.json_path_match(f"$['{column}']")
        summary.kept[column] = _counts(values[exchanges["row"]].drop_nulls())
    return summary


def histogram(counts: np.ndarray) -> dict[str, list[int]]:
    """Counts between EDGES as JSON, without the empty bins at the end."""
    last = int(np.flatnonzero(counts).max(initial=0)) + 1
    return {"edges": list(EDGES[: last + 1]), "counts": counts[:last].tolist()}


def top_values(values: Counter[str]) -> dict[str, int]:
    """The most frequent values, and the others together."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[MOST_VALUES:])
    return dict(ordered[:MOST_VALUES]) | ({"other": rest} if rest else {})


def digest_of(summary: Summary) -> str:
    """The fingerprint of the kept rows: equal for equal rows in whatever parts, else different."""
    return "sha256:" + hashlib.sha256(summary.fingerprint.to_bytes(16, "big")).hexdigest()


def _counts(values: pl.Series) -> Counter[str]:
    return Counter(dict(values.value_counts().iter_rows()))


def _pairs(tagged: pl.DataFrame) -> Counter[tuple[str, str]]:
    counted = tagged.group_by("source", "split").len()
    return Counter({(source, split): count for source, split, count in counted.iter_rows()})


def _lengths(turns: pl.DataFrame) -> dict[str, np.ndarray]:
    chars = turns.select("exchange", response=pl.col("content").str.len_chars().fill_null(0), turn="turn")
    asked = chars.with_columns(prompt=pl.when(pl.col("turn") > 0).then(pl.col("response").shift(1))).filter("exchange")
    bounds = np.array(EDGES)
    return {
        side: np.histogram(np.minimum(asked[side].drop_nulls().to_numpy(), bounds[-1]), bins=bounds)[0].astype(np.int64)
        for side in ("prompt", "response")
    }


def _fingerprint(rows: pl.DataFrame, turns: pl.DataFrame) -> int:
    """The sum of a 128-bit hash per turn, of all that training could see."""
    of_row = rows.select(pl.col("id").bin.encode("hex"), "split", "lang", "weight")
    parts = [pl.col(name).cast(pl.String).fill_null("\x00") for name in (*turns.columns[1:], *of_row.columns)]
    joined = pl.concat([turns.drop("row"), of_row[turns["row"]]], how="horizontal").select(
        text=pl.concat_str(parts, separator="\x1f")
    )
    hashes: list[int] = joined.select(plh.col("text").nchash.xxh3_128())["text"].to_list()
    return sum(hashes) % (1 << 128)
