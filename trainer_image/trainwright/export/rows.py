"""Goal PrepareData: the prepared rows as the deliverable, one Parquet file per part and split, with a data card.

A row has messages (list of {role, content, …}) as other tools read them unchanged, and tools, source, lang, topic and
id.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig
from trainwright.export.data_card import SPLITS, data_card
from trainwright.export.manifest import write_manifest
from trainwright.formats.rows import read_parts
from trainwright.progress import Progress

MESSAGE_FIELDS = ("role", "content", "train", "name", "toolCalls", "toolCallId")
COLUMNS = ["id", "messages", "tools", "source", "lang", "topic", "weight", "synthetic", "split"]


def export_rows(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Write `output`/data/{train,validation,test}/part-NNNNN.parquet, DATA.md and manifest.json."""
    folder = output / "data"
    parts = len(list((inputs["prepare"].folder / "rows").glob("part-*.parquet")))
    progress = Progress("export", parts, "parts")
    counts = dict.fromkeys(SPLITS, 0)
    for number, part in enumerate(read_parts(inputs["prepare"].folder / "rows", columns=COLUMNS)):
        for split in SPLITS:
            rows = part.filter(pl.col("split") == split).drop("split")
            if rows.height:
                (folder / split).mkdir(parents=True, exist_ok=True)
                _plain(rows).write_parquet(folder / split / f"part-{number:05d}.parquet", compression="zstd")
                counts[split] += rows.height
        progress.update(number + 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "DATA.md").write_text(data_card(config, inputs), "utf-8")
    digest, size_bytes = write_manifest(folder, inputs)
    return Report(
        message=f"{sum(counts.values()):,} conversations in {parts} parts",
        counts={**counts, "bytes": size_bytes},
        metrics={"digest": digest, "bytes": size_bytes},
    )


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    """The id as hexadecimal text, the messages without our internal flags."""
    message = pl.struct([pl.element().struct.field(name) for name in MESSAGE_FIELDS])
    return rows.with_columns(pl.col("id").bin.encode("hex"), pl.col("messages").list.eval(message))
