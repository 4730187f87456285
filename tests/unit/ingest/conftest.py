"""Runs the stage on sources that a test writes, and gives what came out in the words of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from trainwright.api import Spec
from trainwright.contract import Report, RunConfig
from trainwright.formats.rows import part_files
from trainwright.ingest import stage
from trainwright.ingest.limits import LIMITS, Limits

DATA = Path(__file__).parents[2] / "data" / "ingest"


@dataclass(frozen=True)
class Ingested:
    """The output of the stage."""

    folder: Path
    report: Report

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, in the order of source and record."""
        frame = pl.concat(pl.read_parquet(part) for part in part_files(self.folder / "rows"))
        return frame.sort("source", "record", "id", maintain_order=True).to_dicts()

    @property
    def conversations(self) -> list[list[tuple[str, str | None]]]:
        """Role and text of all turns."""
        return [[(turn["role"], turn["content"]) for turn in row["messages"]] for row in self.rows]

    @property
    def bad(self) -> list[dict[str, Any]]:
        """The lines of bad.jsonl."""
        return [json.loads(line) for line in (self.folder / "bad.jsonl").read_bytes().split(b"\n") if line]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The sources of sources.json."""
        return list(json.loads((self.folder / "sources.json").read_text()))


@dataclass(frozen=True)
class Workshop:
    """A folder for sources, and the stage to run on them."""

    folder: Path

    def write(self, name: str, content: str | bytes | list[Any]) -> str:
        """Write a file (a list as JSON Lines); returns its URI."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"./{name}"

    def config(
        self, sources: list[dict[str, Any]], *, workers: int = 1, sample: int | None = None, **data: Any
    ) -> RunConfig:
        """The run of some sources; `data` are further fields of spec.data."""
        spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": sources, **data}})
        return RunConfig(
            name="test", spec=spec, workdir=self.folder, base_folder=self.folder, workers=workers, sample=sample
        )

    def ingest(
        self,
        *sources: dict[str, Any] | str,
        limits: Limits = LIMITS,
        workers: int = 1,
        sample: int | None = None,
        **data: Any,
    ) -> Ingested:
        """Run the stage; a text is a source's URI."""
        output = self.folder / f"output-{len(list(self.folder.glob('output-*')))}"
        output.mkdir()
        described = [source if isinstance(source, dict) else {"uri": source} for source in sources]
        config = self.config(described, workers=workers, sample=sample, **data)
        return Ingested(folder=output, report=stage.run(config, {}, output, limits=limits))


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A workshop in a folder of its own."""
    return Workshop(folder=tmp_path)


@pytest.fixture
def data() -> Callable[[str], str]:
    """The URI of a file of tests/data/ingest."""
    return lambda name: f"file://{DATA / name}"
