"""What preparing all of chitchat costs: CPU time an exchange, by step and phase, and peak memory.

    python bench/prepare.py

Reads the 131,569 exchanges of the chitchat-dataset wheel with ingest, then runs prepare with its defaults in a fresh
process (imports included) for each number of workers, and once more in this process with a clock around every step.
CPU is that of all processes (user and system), memory the largest sum of resident pages seen in 50 ms steps.
Writes bench/results/prepare.md.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "prepare.md"
SOURCE = {
    "uri": "pkg://chitchat_dataset/dataset.json",
    "columns": {"messages": "messages", "role": "sender", "content": "text"},
}
WORKERS = (1, 2)
BOUND_US, BOUND_BYTES = 50, 2 << 30
PHASES = {
    "map_slice": "map, all steps and files",
    "find_boilerplate": "sample, boilerplate",
    "sign_slice": "sign",
    "find_duplicates": "pair, verify",
    "assign": "split, links",
    "finish_slice": "finish",
    "gather_partition": "write",
    "leaks_of": "check of the written files",
}


def main() -> None:
    """Measure, and write the result."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "ingest"
        exchanges = ingest(rows)
        runs = [measured(rows, Path(folder) / f"run{workers}", workers) for workers in WORKERS]
        clocks, report = by_step(rows, Path(folder) / "steps")
    us = {name: seconds / exchanges * 1e6 for name, seconds in clocks.items()}
    lines = [
        "# Preparation",
        "",
        f"`python bench/prepare.py`; {processor()}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs "
        "(work on a shared core costs up to twice the CPU time of an idle one).",
        "",
        f"All {exchanges:,} exchanges of chitchat, default settings. Goal: at most {BOUND_US} µs CPU each, 2 GiB.",
        "",
        "| workers | CPU, all processes, imports included | wall | peak memory, all processes |",
        "|---|---|---|---|",
        *(
            f"| {workers} | **{run['cpu'] / exchanges * 1e6:.1f} µs** ({run['cpu']:.1f} s) | {run['wall']:.1f} s | "
            f"{run['peak'] / 2**20:,.0f} MiB |"
            for workers, run in zip(WORKERS, runs, strict=True)
        ),
        "",
        "| step or phase, one process | µs an exchange | taken | changed or noticed (turns) |",
        "|---|---|---|---|",
        *(row_of(step, us) for step in report["steps"]),
        *(f"| *{title}* | *{us[name]:.1f}* | | |" for name, title in PHASES.items()),
        "",
        f"Sum of the phases: {sum(us[name] for name in PHASES):.1f} µs. Kept {report['kept']:,} exchanges; "
        f"the check found {report['late']} links that were missed.",
    ]
    RESULT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def row_of(step: dict[str, Any], us: dict[str, float]) -> str:
    """A line of the table for one step."""
    cost = f"{us[step['step']]:.1f}" if step["step"] in us else ""
    taken, changed = (
        ", ".join(f"{name} {count:,}" for name, count in step[key].items()) for key in ("reasons", "changed")
    )
    return f"| {step['step']} | {cost} | {taken} | {changed} |"


def configuration(workers: int) -> Any:
    """The run's settings: chitchat, defaults."""
    from trainwright.api import Spec
    from trainwright.contract import RunConfig

    spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": [SOURCE]}})
    return RunConfig(name="bench", spec=spec, workdir=Path.cwd(), base_folder=Path.cwd(), workers=workers)


def ingest(output: Path) -> int:
    """Make canonical rows; returns the number of exchanges."""
    from trainwright.ingest import run

    output.mkdir()
    return run(configuration(1), {}, output).counts["exchanges"]


def prepare(rows: Path, output: Path, workers: int) -> Any:
    """Run the stage."""
    from trainwright.artifacts import Artifact
    from trainwright.prepare import run

    output.mkdir()
    done: dict[str, Any] = {"counts": {}, "metrics": {}}
    return run(configuration(workers), {"ingest": Artifact(stage="ingest", key="0", folder=rows, done=done)}, output)


def measured(rows: Path, output: Path, workers: int) -> dict[str, float]:
    """Run the stage in a fresh process: CPU seconds of it and its workers, wall seconds, peak bytes."""
    import psutil

    command = [sys.executable, __file__, str(rows), str(output), str(workers)]
    threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    before, begin, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    process = subprocess.Popen(command, env=os.environ | threads, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, resident(psutil.Process(process.pid)))
        time.sleep(0.05)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"prepare failed with exit code {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.monotonic() - begin, "peak": peak}


def resident(process: Any) -> int:
    """Resident bytes of a process and all below it."""
    import psutil

    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def by_step(rows: Path, output: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """Run the stage in this process with a clock around every step and phase: CPU seconds, and what it reports."""
    from trainwright.prepare import mapping, stage

    clocks: Counter[str] = Counter()

    def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*arguments)
            finally:
                clocks[name] += time.process_time() - begin

        return run

    mapping.STEPS = tuple(dataclasses.replace(step, apply=clocked(step.name, step.apply)) for step in mapping.STEPS)
    for name in PHASES:
        setattr(stage, name, clocked(name, getattr(stage, name)))
    report = prepare(rows, output, 1)
    facts = {"steps": json.loads((output / "steps.json").read_text()), "kept": report.counts["rowsKept"]}
    return dict(clocks), facts | {"late": report.metrics["linksFoundByCheck"]}


def processor() -> str:
    """The name of the processor."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else "unknown processor"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        prepare(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    else:
        os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
        main()
