"""Stage `ingest`: sources of any format and any columns in, canonical rows out."""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Read all sources into canonical rows; see trainwright.ingest.stage."""
    from trainwright.ingest import stage

    return stage.run(config, inputs, output)
