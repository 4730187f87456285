"""train: token shards and weights in, checkpoints, candidates and loss curves out. One process per rank.

Alone: `python -m trainwright train --config run.json`, with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT
set.
"""

from __future__ import annotations

from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Train as `spec.training` says, from the newest checkpoint in `output` if there is one."""
    from trainwright.train.stage import run as run_stage

    return run_stage(config, inputs, output)
