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


def cpu_seconds(*arguments: str) -> float:
    """The least of three: the first start may compile."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        python(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(3))


def test_judging_a_run_takes_half_a_second_of_cpu() -> None:
    judging = "import sys, pathlib, trainwright.api as a; a.load_run(pathlib.Path(sys.argv[1]))"
    # Where others share the core, a second of CPU does less; then pydantic's own import, half of it, is the measure.
    pydantic = cpu_seconds("-c", "from pydantic import BaseModel, AfterValidator")
    assert cpu_seconds("-c", judging, str(STORY)) <= max(0.5, 2.5 * pydantic)
