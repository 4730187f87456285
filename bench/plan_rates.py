"""What an exchange costs in CPU time and bytes: the averages that `trainwright plan` uses until stages have counted.

    trainwright run examples/from-scratch.yaml --workdir scratch --until index
    python bench/plan_rates.py scratch

Reads what each stage wrote into its done.json (CPU seconds of its processes, start included) and its folder's size.
Writes bench/results/plan_rates.json; trainer_image/trainwright/plan/rates.py has the rounded figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "plan_rates.json"
STAGES = ("ingest", "prepare", "tokenize", "index")


def main(workdir: Path) -> None:
    """Sum up a workdir and write the result."""
    done = {stage: newest(workdir, stage) for stage in STAGES}
    exchanges = json.loads(done["ingest"].read_text())["counts"]["exchanges"]
    tokens = json.loads(done["tokenize"].read_text())["counts"]["tokens"]
    train = json.loads(done["prepare"].read_text())["counts"]["train"]
    result: dict[str, Any] = {
        "command": "python bench/plan_rates.py WORKDIR",
        "exchanges": exchanges,
        "tokens_per_training_exchange": round(tokens / train, 2),
        "cpu_us_per_exchange": {stage: cpu_us(path, exchanges) for stage, path in done.items()},
        "bytes_per_exchange": {stage: round(size(path.parent) / exchanges) for stage, path in done.items()},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def newest(workdir: Path, stage: str) -> Path:
    """The done.json of a stage that was written last."""
    return max((workdir / "stages" / stage).glob("*/done.json"), key=lambda path: path.stat().st_mtime)


def cpu_us(path: Path, exchanges: int) -> float:
    """Microseconds of CPU time an exchange."""
    seconds: float = json.loads(path.read_text())["cpuSeconds"]
    return round(seconds / exchanges * 1e6, 1)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
