"""A finished run as its stages leave it, made in a moment: what the report is tested with and looked at.

Figures and texts are in tests/data/report/sample_run.yaml, of the size that real runs have; only curves and histograms
are drawn by dice. Tests change parts of what `sample_run` gives, or leave stages out.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig

FILE = Path(__file__).parent / "data" / "report" / "sample_run.yaml"


def sample_facts() -> dict[str, Any]:
    """The content of the file, complete: spec, started, seconds, stages, plan. The caller may change it."""
    facts: dict[str, Any] = copy.deepcopy(yaml.safe_load(FILE.read_text("utf-8")))
    dice = random.Random(1)
    stages = facts["stages"]
    stages["prepare"]["metrics"]["lengths"] = {"prompt": _histogram(dice, 42), "response": _histogram(dice, 51)}
    stages["train"]["files"]["steps.jsonl"] = _steps(dice, stages["train"]["metrics"]["steps"])
    return facts


def sample_run(folder: Path, facts: Mapping[str, Any] | None = None) -> tuple[RunConfig, dict[str, Artifact]]:
    """The settings and finished stages of a run in `folder`; absent facts are those of the file."""
    facts = facts or sample_facts()
    spec = Spec.model_validate(facts["spec"])
    config = RunConfig(name="quickstart", spec=spec, workdir=folder, base_folder=folder, processes=2)
    if "plan" in facts:
        (folder / "plan.json").write_text(json.dumps(facts["plan"]), "utf-8")
    return config, {name: _artifact(folder, name, facts) for name in facts["stages"]}


def _artifact(workdir: Path, name: str, facts: Mapping[str, Any]) -> Artifact:
    """A stage's finished output on disk; lists in *.jsonl files are written line by line."""
    made, seconds, started = facts["stages"][name], facts["seconds"][name], facts["started"][name]
    key = f"{len(name)}f3a91c07b2e{sum(name.encode()):04x}"[:16]
    folder = workdir / "stages" / name / key
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in made["files"].items():
        text = "".join(json.dumps(line) + "\n" for line in value) if file.endswith(".jsonl") else json.dumps(value)
        (folder / file).write_text(text, "utf-8")
    done = {
        "stage": name,
        "key": key,
        "version": 1,
        "message": "",
        "counts": made["counts"],
        "metrics": made["metrics"],
        "attempt": made.get("attempt", 1),
        "started": _clock(started),
        "finished": _clock(started + seconds),
        "seconds": seconds,
        "cpuSeconds": seconds * 1.7,
        "threads": 2,
        "versions": {"trainwright": "0.1.0", "torch": "2.15.0", "transformers": "5.24.0"},
    }
    (folder / "done.json").write_text(json.dumps(done), "utf-8")
    return Artifact(stage=name, key=key, folder=folder, done=done)


def _clock(seconds: float) -> str:
    return f"2026-03-02T09:{int(seconds // 60):02d}:{int(seconds % 60):02d}+00:00"


def _histogram(dice: random.Random, median: float) -> dict[str, list[float]]:
    edges = [0.0, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024]
    below = [0.0] + [1 / (1 + (median / edge) ** 2.2) for edge in edges[1:]]
    counts = [float(round(124_000 * (b - a) * dice.uniform(0.93, 1.07))) for a, b in pairwise(below)]
    return {"edges": edges, "counts": counts}


def _steps(dice: random.Random, count: int) -> list[dict[str, float]]:
    return [
        {
            "step": step,
            "loss": 1.9 + 2.6 * math.exp(-step / (count / 4)) + dice.gauss(0, 0.12),
            "learningRate": 1.5e-3 * (0.5 + 0.5 * math.cos(math.pi * step / count)),
            "gradNorm": 1 + dice.random(),
            "tokens": 1024 * step,
            "targets": 336 * step,
            "seconds": 4.9 + dice.random() / 5,
        }
        for step in range(1, count + 1)
    ]
