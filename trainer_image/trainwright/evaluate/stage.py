"""The stage: validation figures of each candidate, the winner, its figures on test rows, gates.

The winner has the lowest validation loss. The test rows are touched once, by the winner alone, and decide nothing but
gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainwright.artifacts import Inputs, write_json
from trainwright.chat_template import ChatTemplate
from trainwright.contract import Report, RunConfig
from trainwright.errors import BadInput
from trainwright.evaluate import gates
from trainwright.evaluate.contenders import BASE, Contenders, figures_of_loss, json_lines
from trainwright.evaluate.exchanges import Exchange, sample
from trainwright.evaluate.judging import Answers, Interview, ask
from trainwright.evaluate.overfitting import overfitting
from trainwright.progress import Progress

METRIC_MODULES = {"bleu": "bleu", "rouge": "rouge", "rouge1": "rouge", "rouge2": "rouge", "rougeL": "rouge"}
"""The module that computes a metric of the spec from texts."""


@dataclass(slots=True, kw_only=True)
class _Work:
    """What is asked of whom, and how far it is."""

    config: RunConfig
    contenders: Contenders
    interview: Interview
    validation: Sequence[Exchange]
    test: Sequence[Exchange]
    progress: Progress
    done: int = field(default=0)

    def ask(self, step: int, exchanges: Sequence[Exchange], *, with_probes: bool) -> Answers:
        """The answers of the model of `step`; progress goes on as they come."""
        start = self.done
        probes = self.config.spec.evaluation.probes if with_probes else []
        self.done += len(exchanges) + len(probes)
        return ask(
            self.contenders.model(step),
            self.interview,
            exchanges,
            probes,
            lambda count: self.progress.update(start + count, step=step),
        )


def evaluate(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Judge everything; see the package.

    Raises:
        BadInput: there are neither validation nor test rows.
        QualityGate: the winner misses a gate.
    """
    work = _begin(config, inputs)
    contenders = work.contenders
    before = work.ask(BASE, work.validation, with_probes=True) if contenders.trained else None
    judged = {step: work.ask(step, work.validation, with_probes=True) for step in contenders.steps()}
    candidates: list[dict[str, Any]] = [
        {"step": step, **figures_of_loss(contenders.validation_loss(step)), **answers.figures}
        for step, answers in sorted(judged.items())
    ]
    best = min(candidates, key=lambda one: (one["loss"] is None, one["loss"], -one["step"]))
    result, tested = _result(work, best)
    verdicts = gates.judge(config.spec.evaluation.gates, result)
    shown = (work.validation, before, judged[best["step"]]) if work.validation else (work.test, None, tested)
    write_json(output / "examples.json", _examples(*shown))
    write_json(output / "probes.json", _probes(config, before, judged[best["step"]]))
    signatures = judged[best["step"]].signatures | tested.signatures
    report = _report(work, before, candidates, best, result, verdicts, signatures)
    write_json(output / "figures.json", report.metrics)
    gates.refuse_missed(verdicts, weights=contenders.folder(best["step"]), rows=result["split"], figures=output)
    return report


def _begin(config: RunConfig, inputs: Inputs) -> _Work:
    spec = config.spec.evaluation
    wanted = [*spec.metrics, *(gate.metric for gate in spec.gates)]
    template = ChatTemplate.load(inputs["tokenize"].folder)
    contenders = Contenders(config=config, inputs=inputs)
    metrics = sorted({METRIC_MODULES[metric] for metric in wanted if metric in METRIC_MODULES})
    rows = inputs["prepare"].folder / "rows"
    count = spec.generate.rows if metrics else 0
    validation, test = (sample(rows, split, count, config.spec.training.seed) for split in ("validation", "test"))
    interview = Interview(
        template=template,
        metrics=metrics,
        max_new_tokens=spec.generate.max_new_tokens,
        longest_prompt=int(inputs["tokenize"].metrics["sequenceLength"]),
    )
    models = len(contenders.steps()) + contenders.trained
    total = models * (len(validation) + len(spec.probes)) + len(test)
    return _Work(
        config=config,
        contenders=contenders,
        interview=interview,
        validation=validation,
        test=test,
        progress=Progress("evaluate", total, "answers"),
    )


def _result(work: _Work, best: Mapping[str, Any]) -> tuple[dict[str, Any], Answers]:
    """The winner's figures on the test rows, else on the validation rows, else on none; `split` says which.

    A training without held-out rows still ends with weights, unjudged; an evaluation needs something to judge by.
    """
    step = best["step"]
    loss = work.contenders.loss(step, "test")
    if not loss.targets:
        judged = best["loss"] is not None
        if not judged and not work.contenders.trained:
            raise BadInput(
                "there is nothing to judge by: no validation and no test row has a target",
                hint="give data.split a share, or a source `use: Test`",
            )
        return {"split": "validation" if judged else "none", **best}, Answers.none()
    answers = work.ask(step, work.test, with_probes=False)
    probes = {"probes": best["probes"]} if "probes" in best else {}
    figures = {"split": "test", "step": step, **figures_of_loss(loss.mean), **answers.figures, **probes}
    return figures, answers


def _examples(exchanges: Sequence[Exchange], before: Answers | None, after: Answers) -> list[dict[str, Any]]:
    return [
        {
            "prompt": exchange.messages[-1]["content"],
            "reference": exchange.reference,
            "before": before.exchanges[n] if before else None,
            "after": after.exchanges[n],
        }
        for n, exchange in enumerate(exchanges)
    ]


def _probes(config: RunConfig, before: Answers | None, after: Answers) -> list[dict[str, Any]]:
    return [
        {
            "prompt": probe.prompt,
            "contains": probe.contains,
            "before": before.probes[n] if before else None,
            "after": after.probes[n],
            "met": after.met[n],
        }
        for n, probe in enumerate(config.spec.evaluation.probes)
    ]


def _report(
    work: _Work,
    before: Answers | None,
    candidates: list[dict[str, Any]],
    best: Mapping[str, Any],
    result: Mapping[str, Any],
    verdicts: list[dict[str, Any]],
    signatures: Mapping[str, str],
) -> Report:
    contenders = work.contenders
    steps = json_lines(contenders.inputs["train"].folder / "steps.jsonl") if contenders.trained else []
    figures = ", ".join(
        f"{name} {result[name]:.4g}" for name in ("loss", "bleu", "rougeL", "probes") if result.get(name) is not None
    )
    who = f"step {best['step']} wins" if contenders.trained else "the model as it is"
    told = f"on {result['split']} rows: {figures}" if result["split"] != "none" else "no held-out row judged it"
    return Report(
        message=f"{who}; {told}",
        counts={
            "candidates": len(candidates),
            "validationAnswers": len(work.validation),
            "testAnswers": len(work.test),
            "probes": len(work.config.spec.evaluation.probes),
        },
        metrics={
            "before": {**figures_of_loss(contenders.validation_loss(BASE)), **before.figures} if before else None,
            "candidates": candidates,
            "best": dict(best),
            "result": dict(result),
            "overfitting": overfitting(contenders.evaluations, steps),
            "gates": verdicts,
            "signatures": dict(signatures),
        },
    )
