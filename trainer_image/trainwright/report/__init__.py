"""report: the finished stages → `report.html` for people and `metrics.json` for programs.

Reads done.json and the files beside it of every stage the run has; any of them may be absent (another goal, the index
off). Run alone: python -m trainwright report --config run.json
"""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path, *, examples: bool = True) -> Report:
    """Write report.html and metrics.json into `output`; `examples=False` leaves every row's and answer's text out."""
    from trainwright.report.page import write_page

    return write_page(config, inputs, output, examples=examples)
