"""evaluate: the kept candidates and held-out rows → BLEU, ROUGE, probes; the winner once on the test rows; gates.

In: the losses that train wrote, the candidates, the rows of prepare, the template and shards of tokenize.
Out: examples.json, probes.json, figures.json (the figures of done.json); raises QualityGate for a missed gate.
Run alone: python -m trainwright evaluate --config run.json
"""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Judge the candidates on validation rows and the winner on test rows."""
    from trainwright.evaluate.stage import evaluate

    return evaluate(config, inputs, output)
