"""Runs the stage weights on a model setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainwright.api import Spec
from trainwright.contract import Report, RunConfig
from trainwright.weights import run


def fetch(folder: Path, model: dict[str, Any]) -> tuple[Report, Path]:
    """The report and output of weights; `./` in `model` is relative to `folder`."""
    spec = Spec.model_validate({"model": model, "data": {"sources": [{"uri": "./rows.jsonl"}]}})
    config = RunConfig(name="toy", spec=spec, workdir=folder, base_folder=folder)
    number = len(list(folder.glob("weights-*")))
    output = folder / f"weights-{number}"
    output.mkdir(parents=True)
    return run(config, {}, output), output
