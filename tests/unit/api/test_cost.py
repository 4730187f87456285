"""Reading and judging a run is cheap: no heavy import, half a second of CPU."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
STORY = ROOT / "tests/data/api/stories/three-sources.yaml"
HEAVY = {"torch", "transformers", "polars", "numpy", "pyarrow", "datasets", "lancedb", "duckdb", "deepspeed"}


def python(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "trainer_image")}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_importing_the_api_and_the_contract_imports_nothing_heavy() -> None:
    code = "import json, sys, trainwright.api, trainwright.contract; print(json.dumps(sorted(sys.modules)))"
    assert not HEAVY & set(json.loads(python("-c", code)))


def test_judging_a_run_takes_half_a_second_of_cpu() -> None:
    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        python("-c", "import sys, pathlib, trainwright.api as a; a.load_run(pathlib.Path(sys.argv[1]))", str(STORY))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The least of three: the first one may compile, and others work on this machine.
    assert min(once() for _ in range(3)) <= 0.5
