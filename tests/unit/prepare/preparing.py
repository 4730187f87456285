"""Runs the stage, or one step of it, on a few rows and reads back what it left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from trainwright.api import Prepare, Spec
from trainwright.artifacts import Artifact
from trainwright.contract import Report, RunConfig
from trainwright.formats.rows import write_part
from trainwright.prepare import run
from trainwright.prepare.batch import Batch
from trainwright.prepare.steps import STEPS
from trainwright.prepare.tally import Tally
from trainwright.prepare.work import Work

from tests.factories import conversation, rows_frame

DATA = Path(__file__).parents[2] / "data" / "prepare"
SOURCE = "./source.jsonl"
ALL_OFF = {
    name: {"enabled": False}
    for name in ("clean", "language", "relevance", "offensive", "personalData", "deduplicate", "rareWords", "balance")
}
NO_SPLIT = {"validation": 0, "test": 0}


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

    @property
    def reasons(self) -> list[tuple[int, str, str]]:
        return sorted(self.dropped.select("record", "step", "reason").rows())

    def step(self, name: str) -> dict[str, Any]:
        return next(step for step in json.loads((self.folder / "steps.json").read_text()) if step["step"] == name)


def prepare(
    folder: Path,
    rows: pl.DataFrame,
    *,
    settings: dict[str, Any] | None = None,
    sources: tuple[dict[str, Any], ...] = ({"uri": SOURCE},),
    split: dict[str, float] | None = None,
    partitions: int = 1,
    workers: int = 1,
    name: str = "prepare",
    **spec: Any,
) -> Prepared:
    """Run the stage over `rows`, cut into `partitions` parts; rows of source `source` are of the first of `sources`."""
    rows = rows.with_columns(source=pl.col("source").replace({"source": sources[0]["uri"]}))
    ingested = folder / f"{name}-ingest"
    height = max(1, -(-rows.height // partitions))
    for number in range(partitions):
        write_part(rows[number * height : (number + 1) * height], ingested / "rows", number)
    data = {"sources": list(sources), "prepare": settings or {}, "split": split or NO_SPLIT}
    filled = {"goal": "PrepareData", **spec, "data": data | spec.get("data", {})}
    config = RunConfig(
        name="test", spec=Spec.model_validate(filled), workdir=folder, base_folder=folder, workers=workers
    )
    output = folder / name
    output.mkdir()
    done = {"counts": {}, "metrics": {}}
    report = run(config, {"ingest": Artifact(stage="ingest", key="0", folder=ingested, done=done)}, output)
    return Prepared(folder=output, report=report)


def step(name: str, rows: pl.DataFrame, settings: dict[str, Any] | None = None, **work: Any) -> tuple[Batch, Tally]:
    """Run one step over rows."""
    told = Work(
        prepare=Prepare.model_validate({name: settings or {}}),
        seed=1,
        uses=work.pop("uses", {}),
        folder=Path("/nowhere"),
        output=Path("/nowhere"),
        **work,
    )
    batch = Batch(rows, told.spared)
    tally = batch.begin(name)
    next(found for found in STEPS if found.name == name).apply(batch, told)
    batch.end()
    return batch, tally


def answers(batch: Batch) -> list[str]:
    """What assistants say, in order of records and turns."""
    rows = batch.kept_rows().sort("record")
    return [message["content"] for row in rows["messages"] for message in row if message["role"] == "assistant"]


def questions_and_answers(file: str) -> pl.DataFrame:
    """Rows of a JSON Lines file with question and answer, records numbered from 0."""
    lines = [json.loads(line) for line in (DATA / file).read_text("utf-8").split("\n") if line]
    return rows_frame(*(conversation(line["question"], line["answer"], record=n) for n, line in enumerate(lines)))


def asked(*texts: str, **columns: Any) -> pl.DataFrame:
    """A row for each of the texts, as answers to different questions."""
    return rows_frame(*(conversation(f"Question {n}?", text, record=n, **columns) for n, text in enumerate(texts)))
