"""Kill a run at random moments, start it again each time, and compare its end with that of an undisturbed run.

python bench/crash.py [--kills 10] [--file examples/from-scratch.yaml] [--seed 1] [-- options of `trainwright run`]

Both runs use the same file and world size. Equal means: metrics.json is the same but for `times`, `places` and
`plan`. A finished stage must not be done twice: its done.json never changes once it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "crash.md"
VOLATILE = ("times", "places", "plan")


def main() -> int:
    """Run both, print the comparison, write bench/results/crash.md; 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--file", type=Path, default=Path("examples/from-scratch.yaml"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trainwright-crash-") as folder:
        calm, disturbed = Path(folder) / "calm", Path(folder) / "disturbed"
        started = time.monotonic()
        subprocess.run(_command(options, calm), check=True, stdout=subprocess.DEVNULL)
        undisturbed_s = time.monotonic() - started
        moments, redone = _disturb(options, disturbed, undisturbed_s)
        expected, got = stable_metrics(calm), stable_metrics(disturbed)
    same = expected == got
    command = f"python bench/crash.py --kills {options.kills} --file {options.file} --seed {options.seed}"
    verdict = "equal" if same else "DIFFERENT: " + ", ".join(differences(expected, got))
    lines = [
        "# Killed and started again",
        "",
        f"`{' '.join([command, *options.rest])}`",
        "",
        f"- undisturbed run: {undisturbed_s:.0f} s",
        f"- killed (SIGKILL) after seconds: {', '.join(f'{moment:.1f}' for moment in moments)}",
        f"- final metrics.json, times aside: {verdict}",
        f"- finished stages done twice: {', '.join(redone) or 'none'}",
    ]
    print("\n".join(lines))
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    return 0 if same and not redone else 1


def _command(options: argparse.Namespace, workdir: Path) -> list[str]:
    return [sys.executable, "-m", "trainwright", "run", str(options.file), "--workdir", str(workdir), *options.rest]


def _disturb(options: argparse.Namespace, workdir: Path, undisturbed_s: float) -> tuple[list[float], list[str]]:
    """Start the run, kill it after a random time, again and again, then let it end: moments, stages done twice."""
    draw = random.Random(options.seed)
    moments: list[float] = []
    first_seen: dict[str, str] = {}
    redone: set[str] = set()
    for _ in range(options.kills):
        moment = draw.uniform(1.0, undisturbed_s / 3)
        process = subprocess.Popen(_command(options, workdir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(moment)
        redone |= _redone(workdir, first_seen)
    subprocess.run(_command(options, workdir), check=True, stdout=subprocess.DEVNULL)
    redone |= _redone(workdir, first_seen)
    return moments, sorted(redone)


def _redone(workdir: Path, first_seen: dict[str, str]) -> set[str]:
    again = set()
    for path in workdir.glob("stages/*/*/done.json"):
        text = path.read_text("utf-8")
        if first_seen.setdefault(str(path), text) != text:
            again.add(path.parts[-3])
    return again


def stable_metrics(workdir: Path) -> dict[str, Any]:
    """metrics.json without times, places and plan: what must be equal between two runs of one file."""
    metrics: dict[str, Any] = json.loads((workdir / "metrics.json").read_text("utf-8"))
    return {name: value for name, value in metrics.items() if name not in VOLATILE}


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """The paths at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [d for key in sorted({*one, *other}) for d in differences(one.get(key), other.get(key), f"{path}.{key}")]
    return [] if one == other else [path.lstrip(".") or "everything"]


if __name__ == "__main__":
    sys.exit(main())
