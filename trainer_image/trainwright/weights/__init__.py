"""The stage weights: a model from a hub, bucket, folder, wheel or GGUF file becomes verified safetensors, once.

Out: `model/` (config.json, generation_config.json, safetensors) and `tokenizer/`. A model from scratch has config.json
alone, and a tokenizer unless it is learnt from the rows. Run alone: `python -m trainwright weights --config run.json`.
"""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Fetch and verify the model and its tokenizer.

    Raises:
        BadInput: no weights, only pickles, broken tensors, an unknown architecture, or no access.
    """
    from trainwright.weights.stage import run as run_stage

    return run_stage(config, inputs, output)
