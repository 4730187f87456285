"""Learning: the curves of training and validation loss with the best marked, of learning rate and gradient norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from trainwright.report import charts, wording
from trainwright.report.outputs import Outputs, mapping


def curves(outputs: Outputs) -> dict[str, Any] | None:
    """The charts and what they say; None if nothing was trained."""
    if "train" not in outputs.stages:
        return None
    steps = outputs.lines("train", "steps.jsonl")
    evaluations = outputs.evaluations()
    return {
        "loss": _loss(outputs, steps, evaluations),
        "unigram": _unigram(outputs),
        "rate": _small("Learning rate", steps, "learningRate"),
        "norm": _small("Gradient norm", steps, "gradNorm"),
        "overfitting": _overfitting(outputs),
        "stopping": _stopping(outputs),
        "evaluations": [
            {
                "step": wording.count(point.get("step")),
                "loss": wording.figure(point.get("loss")),
                "perplexity": wording.figure(point.get("perplexity")),
                "best": point.get("step") == outputs.metric("train", "best", "step"),
            }
            for point in evaluations
        ],
    }


def _loss(outputs: Outputs, steps: list[Mapping[str, Any]], evaluations: list[Mapping[str, Any]]) -> Markup:
    training, validation = _points(steps, "loss"), _points(evaluations, "loss")
    unigram = _unigram(outputs)
    step, lowest = outputs.number("train", "best", "step"), outputs.number("train", "best", "loss")
    mark = (step, lowest) if step is not None and lowest is not None else None
    if not training and not validation:
        return Markup("")
    last = f"{wording.count(training[-1][0])} training steps" if training else "no training steps"
    told = f", best validation loss {wording.figure(mark[1])} at step {wording.count(mark[0])}" if mark else ""
    return charts.line_chart(
        charts.Chart(
            title="Loss of training and validation by step",
            description=last + told,
            series=[
                charts.Series(name="training", kind="train", points=training, in_readout=len(training) < 60),
                charts.Series(name="training, smoothed", kind="smooth", points=charts.smoothed(training)),
                charts.Series(name="validation", kind="validation", points=validation, dots=len(validation) <= 40),
            ],
            levels=[charts.Level(name="unigram", value=unigram)] if unigram is not None else [],
            marked=mark,
            marked_name=f"best {wording.figure(mark[1])}" if mark else "",
            height=320,
        )
    )


def _unigram(outputs: Outputs) -> float | None:
    """The loss of knowing only token frequencies: a line to be below for models from scratch."""
    model = outputs.config.spec.model
    return outputs.number("tokenize", "unigramLoss") if model and model.scratch else None


def _overfitting(outputs: Outputs) -> Mapping[str, Any] | None:
    """Whether evaluate sees overfitting, and what it says."""
    told = mapping(outputs.metric("evaluate", "overfitting"))
    return {"signal": told.get("signal") is True, "message": str(told["message"])} if "message" in told else None


def _small(title: str, steps: list[Mapping[str, Any]], name: str) -> Markup:
    points = _points(steps, name)
    if len(points) < 2:
        return Markup("")
    series = [charts.Series(name=title.lower(), kind="plain", points=points)]
    return charts.line_chart(
        charts.Chart(title=f"{title} by step", description=title, series=series, height=130, from_zero=True)
    )


def _stopping(outputs: Outputs) -> str:
    """What early stopping did, if it was on."""
    wanted = outputs.config.spec.training.early_stopping
    state = mapping(outputs.metric("train", "earlyStopping"))
    if wanted is None:
        return ""
    if outputs.metric("train", "ended") == "earlyStopping":
        best = wording.figure(state.get("best"))
        return f"Stopped early: {wanted.patience} evaluations in a row were no better than {best}."
    bad = wording.count(state.get("bad", 0))
    return f"Early stopping was on and did not act: {bad} of {wanted.patience} evaluations in a row were no better."


def _points(lines: list[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [
        (float(line["step"]), float(line[name]))
        for line in lines
        if wording.is_number(line.get("step")) and wording.is_number(line.get(name))
    ]
