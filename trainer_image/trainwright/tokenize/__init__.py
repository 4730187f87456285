"""The stage tokenize: rows become packed token shards, once, on CPUs. Tokenizer and chat template are settled here.

Run alone: `python -m trainwright tokenize --config run.json`.
"""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Encode the rows of prepare with the tokenizer of weights, or one learnt from the training rows.

    Raises:
        BadInput: no training row can be used, a length exceeds the model's limit, or tokenizer and model do not fit.
    """
    from trainwright.tokenize.stage import run as run_stage

    return run_stage(config, inputs, output)
