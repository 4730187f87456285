"""Stage `ingest`: sources of any format and any columns in, canonical rows out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig

if TYPE_CHECKING:
    from trainwright.api.data import Columns
    from trainwright.ingest.inspection import Inspection

__all__ = ["inspect_source", "run"]


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Read all sources into canonical rows; see trainwright.ingest.stage."""
    from trainwright.ingest import stage

    return stage.run(config, inputs, output)


def inspect_source(uri: str, config: RunConfig, columns: Columns | None = None) -> Inspection:
    """Look at a source as a run would read it; see trainwright.ingest.inspection."""
    from trainwright.ingest import inspection

    return inspection.inspect_source(uri, config, columns)
