"""The operator imports the plan: it must not bring in what the operator may not see, nor anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys

FORBIDDEN = ("torch", "polars", "numpy", "trainwright.models", "trainwright.artifacts", "trainwright.storage")


def test_importing_the_plan_brings_in_neither_torch_nor_what_the_operator_may_not_see() -> None:
    script = "import sys, trainwright.plan; print(*sys.modules)"
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | path, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "trainwright.plan" in loaded
    assert not set(FORBIDDEN) & set(loaded)
