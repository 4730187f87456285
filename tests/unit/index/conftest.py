"""The toy table in a cache of its own, and an index over a few exchanges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig
from trainwright.formats.rows import write_part
from trainwright.index import run

from tests.factories import rows_frame
from tests.toy_table import write_toy_table

MakeIndex = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the toy table, found where the product looks."""
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(tmp_path / "cache"))
    return write_toy_table(tmp_path / "cache")


@pytest.fixture
def make_index(table: Path, tmp_path: Path) -> MakeIndex:
    """A function: rows, as many to a part → the stage's output folder."""

    def make(rows: list[dict[str, Any]], *, per_part: int = 1000, name: str = "index") -> Path:
        frame = rows_frame(*rows)
        prepared, output = tmp_path / f"{name}-prepare", tmp_path / name
        for number, first in enumerate(range(0, frame.height, per_part)):
            write_part(frame.slice(first, per_part), prepared / "rows", number)
        output.mkdir()
        spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": [{"uri": "./rows.jsonl"}]}})
        config = RunConfig(name="run", spec=spec, workdir=tmp_path, base_folder=tmp_path)
        run(config, {"prepare": Artifact(stage="prepare", key="k", folder=prepared, done={})}, output)
        return output

    return make


def read_vectors(folder: Path) -> pl.DataFrame:
    """All vectors of an index, sorted by id."""
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("vectors/*.parquet"))]).sort("id")
