"""Runs the stage on a few rows and reads back what it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.contract import Report, RunConfig
from trainwright.formats.rows import write_part
from trainwright.prepare import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The output of a run of the stage."""

    folder: Path
    report: Report

    @property
    def rows(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "rows" / "*.parquet").sort("id")

    @property
    def dropped(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "dropped" / "*.parquet").sort("id")

    def step(self, name: str) -> dict[str, Any]:
        return next(step for step in self.report.metrics["steps"] if step["step"] == name)


def prepare(
    folder: Path,
    rows: pl.DataFrame,
    *,
    settings: dict[str, Any] | None = None,
    sources: tuple[dict[str, Any], ...] = ({"uri": "./source.jsonl"},),
    split: dict[str, float] | None = None,
    partitions: int = 1,
    workers: int = 1,
    audit: dict[str, Any] | None = None,
    name: str = "prepare",
) -> Prepared:
    """Run the stage over `rows`, cut into `partitions` parts; a row's source `source` stands for the first source."""
    rows = rows.with_columns(source=pl.col("source").replace({"source": sources[0]["uri"]}))
    ingested = folder / f"{name}-ingest"
    height = -(-rows.height // partitions) if rows.height else 1
    for number in range(partitions):
        write_part(rows[number * height : (number + 1) * height], ingested / "rows", number)
    spec = Spec.model_validate(
        {
            "goal": "PrepareData",
            "data": {
                "sources": list(sources),
                "prepare": settings or {},
                "split": split or {"validation": 0, "test": 0},
                "audit": audit or {},
            },
        }
    )
    config = RunConfig(name="test", spec=spec, workdir=folder, base_folder=folder, workers=workers)
    output = folder / name
    output.mkdir()
    done = {"counts": {}, "metrics": {}}
    report = run(config, {"ingest": Artifact(stage="ingest", key="0", folder=ingested, done=done)}, output)
    return Prepared(folder=output, report=report)
