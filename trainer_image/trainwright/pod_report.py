"""What a pod says of finished stages, in the shapes of the TrainingRun's status.

In: the run's settings, its finished stages and, while it trains, the folder of the training. Out: fragments of a
`PodReport`. Everything is read from done.json and from the small files of the training; nothing heavy is imported.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.api.status import (
    BestStatus,
    CheckpointStatus,
    DataStatus,
    EvaluationStatus,
    OutputStatus,
    PlanStatus,
    ResultStatus,
)
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig

if TYPE_CHECKING:
    from trainwright.plan import Plan

MOST_EVALUATIONS = 32
MOST_REASONS = 32
LONGEST_WORD = 64
RESULT_FIGURES = ("loss", "perplexity", "bleu", "rouge1", "rouge2", "rougeL", "probes")


def fragments(config: RunConfig, finished: Mapping[str, Artifact]) -> dict[str, Any]:
    """The fields of a PodReport that finished stages give, by name."""
    found: dict[str, Any] = {}
    if (prepare := finished.get("prepare")) is not None:
        found["data"] = _data(prepare)
    train = finished.get("train")
    if train is not None:
        found |= of_training(config, train.folder)
        found["best"] = _best(config, train.folder, train.metrics["best"])
    if (evaluate := finished.get("evaluate")) is not None:
        metrics = evaluate.metrics
        folder = train.folder if train is not None else None
        found["best"] = _best(config, folder, metrics["best"])
        found["result"] = ResultStatus.model_validate(_only(metrics["result"], RESULT_FIGURES))
        found["evaluations"] = _judged(found.get("evaluations") or [], metrics.get("candidates") or [])
    return found


def of_training(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Validations so far, the best of them, and the newest checkpoint of a training that may be at work."""
    found: dict[str, Any] = {}
    evaluations = _evaluations(folder / "evaluations.jsonl")
    if evaluations:
        found["evaluations"] = evaluations[-MOST_EVALUATIONS:]
        judged = [each for each in evaluations if each.loss is not None and each.step > 0]
        if judged:
            best = min(judged, key=lambda each: each.loss or 0.0)
            found["best"] = _best(config, folder, best.model_dump())
    if (checkpoint := _newest_checkpoint(config, folder / "checkpoints")) is not None:
        found["checkpoint"] = checkpoint
    return found


def of_output(place: str, export: Artifact) -> OutputStatus:
    """Where the result lies."""
    return OutputStatus(uri=place, digest=export.metrics.get("digest"))


def of_plan(made: Plan) -> PlanStatus:
    """The estimates that the status keeps; those that are not known yet stay out."""
    seconds = next((line.figure.value for line in made.times if line.name == "train"), None)
    chosen, on_gpus = made.chosen, made.machine.device.is_gpu
    steps, batch = made.steps.whole, made.batch_tokens.whole
    return PlanStatus.model_validate(
        {
            "parameters": made.parameters.whole,
            "tokens": steps * batch if steps is not None and batch is not None else None,
            "steps": steps,
            "memoryPerGpu": f"{chosen.memory.total / 2**30:.0f}Gi" if chosen is not None and on_gpus else None,
            "duration": _duration(seconds) if seconds is not None else None,
            "gpuHours": round(made.device_hours.value, 2) if on_gpus and made.device_hours.value is not None else None,
            "microBatch": chosen.layout.micro_batch if chosen is not None else None,
            "zeroStage": chosen.layout.zero_stage if chosen is not None else None,
        }
    )


def _data(prepare: Artifact) -> DataStatus:
    reasons: Counter[str] = Counter()
    for step in prepare.metrics.get("steps") or ():
        reasons.update(step.get("reasons") or {})
    return DataStatus.model_validate(
        {
            "fingerprint": prepare.metrics.get("fingerprint"),
            "rowsIn": prepare.counts.get("rowsIn"),
            "rowsKept": prepare.counts.get("rowsKept"),
            "dropped": {reason[:LONGEST_WORD]: count for reason, count in reasons.most_common(MOST_REASONS) if count},
        }
    )


def _best(config: RunConfig, train: Path | None, figures: Mapping[str, Any]) -> BestStatus:
    step = int(figures.get("step") or 0)
    weights = train / "candidates" / f"step-{step}" if train is not None else None
    return BestStatus(
        step=step,
        loss=figures.get("loss"),
        perplexity=figures.get("perplexity"),
        uri=config.uri_of(weights) if weights is not None and weights.exists() else None,
    )


def _judged(known: list[EvaluationStatus], candidates: list[Mapping[str, Any]]) -> list[EvaluationStatus]:
    """The validations of the training, with the scores of those that evaluate has judged."""
    steps = {each.step: each for each in known}
    for candidate in candidates:
        step = int(candidate["step"])
        before = steps.get(step) or EvaluationStatus(step=step)
        scores = _only(candidate, ("loss", "perplexity", "bleu", "rougeL"))
        steps[step] = EvaluationStatus.model_validate(before.model_dump(by_alias=True, exclude_none=True) | scores)
    return [steps[step] for step in sorted(steps)][-MOST_EVALUATIONS:]


def _only(figures: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: figures[name] for name in names if figures.get(name) is not None}


def _evaluations(file: Path) -> list[EvaluationStatus]:
    """The validations in the order of their steps; a line that is being written is left out."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError:
        return []
    found = {}
    for line in lines:
        try:
            entry = EvaluationStatus.model_validate(_only(json.loads(line), ("step", "loss", "perplexity")))
        except ValueError:
            continue
        found[entry.step] = entry
    return [found[step] for step in sorted(found)]


def _newest_checkpoint(config: RunConfig, root: Path) -> CheckpointStatus | None:
    """The newest one that has its manifest; its files are verified by who goes on from it."""
    steps = [int(match[1]) for path in root.glob("step-*") if (match := re.fullmatch(r"step-(\d+)", path.name))]
    for step in sorted(steps, reverse=True):
        folder = root / f"step-{step}"
        try:
            written = (folder / "manifest.json").stat().st_mtime
        except OSError:
            continue
        moment = datetime.fromtimestamp(written, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return CheckpointStatus(step=step, time=moment, uri=config.uri_of(folder))
    return None


def _duration(seconds: float) -> str:
    """As people say it: 45s, 12m, 4h12m."""
    if seconds < 60:
        return f"{max(1, round(seconds))}s"
    hours, minutes = round(seconds / 60) // 60, round(seconds / 60) % 60
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m"
