"""export: the winner → safetensors, tokenizer, cards and manifest, reloaded in a clean process before it counts.

In: the outputs of every stage before it. Out: `model/` (goal PrepareData: `data/`), which `deliver_output` brings to
its place.
Run alone: python -m trainwright export --config run.json
"""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Artifact, Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Make the deliverable in `output`."""
    if config.spec.goal == "PrepareData":
        from trainwright.export.rows import export_rows

        return export_rows(config, inputs, output)
    from trainwright.export.stage import export

    return export(config, inputs, output)


def deliver_output(config: RunConfig, artifact: Artifact) -> str:
    """Bring a finished export to the output and return where it lies; does nothing if it is there already.

    Called in every run, also when the stage itself is reused: the output is no part of its key.
    """
    from trainwright.storage import deliver

    uri = config.spec.output.uri if config.spec.output else None
    if config.spec.goal == "PrepareData":
        return deliver(artifact.folder / "data", uri or f"file://{config.folder / 'data'}", config)
    return deliver(artifact.folder / "model", uri, config)
