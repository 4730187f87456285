"""prepare: canonical rows → clean, judged, redacted rows without duplicates, split into train, validation and test.

In: `rows/` of ingest. Out: `rows/` with lang, split, train and flags, `dropped/` with step and reason, `steps.json`.
Alone: `python -m trainwright prepare --config run.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainwright.artifacts import Inputs
    from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Prepare the rows of ingest into `output`; see stage.py."""
    from trainwright.prepare.stage import run as run_stage

    return run_stage(config, inputs, output)
