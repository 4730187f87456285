"""All stages of a run on one machine, in order, each reused when its key has a finished output.

In: a TrainingRun file. Out: WORKDIR/stages/…, model/, report.html and metrics.json. Stages run in processes of their
own (launcher.py); this process only compares keys, so a run with nothing to do ends in a moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainwright import artifacts, contract, launcher
from trainwright.api import TrainingRun, resolve
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig
from trainwright.delivery import deliver
from trainwright.environment import cpu_quota, one_node, visible_gpus
from trainwright.errors import BadInput, DeadlineExceeded, InvalidSpec, Stopped, TrainwrightError
from trainwright.stage_process import Job
from trainwright.survey import FRESH, Step, survey

if TYPE_CHECKING:
    from trainwright.plan import Plan

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says beside the file. None: decided here."""

    workdir: Path | None = None
    until: str | None = None
    fresh: tuple[str, ...] = ()
    sample: int | None = None
    mounts: Mapping[str, Path] = field(default_factory=dict)
    processes: int | None = None
    workers: int | None = None


class View(Protocol):
    """How the run is shown: a live view on a terminal, plain lines elsewhere."""

    def plan(self, text: str) -> None:
        """Show the plan before anything is spent."""

    def started(self, step: Step) -> None:
        """A stage starts."""

    def line(self, line: Mapping[str, Any]) -> None:
        """A progress or log line of the stage at work."""

    def finished(self, step: Step, artifact: Artifact, *, reused: bool) -> None:
        """A stage is done."""


def run(run_file: Path, options: Options, view: View) -> Path:
    """Run every stage of a file, or up to `until`, and return the workdir.

    Raises:
        InvalidSpec: the file breaks a rule, or sets a field that no stage acts on yet.
        TrainwrightError: what a stage failed with; the same command goes on after the cause is gone.
    """
    config = configure(run_file, options)
    with artifacts.locked(config.workdir):
        _claim(config)
        steps = survey(config, fresh=options.fresh)
        _show_plan(config, steps, view)
        finished: dict[str, Artifact] = {}
        deadline = Deadline(config.spec.active_deadline_seconds)
        for step in steps:
            finished[step.stage.name] = _ensure(config, step, finished, deadline, view)
            if step.stage.name == options.until:
                break
        deliver(config, finished)
    return config.workdir


def configure(run_file: Path, options: Options, *, refuse_unbuilt: bool = True) -> RunConfig:
    """The settings of a run from its file and the command line.

    Raises:
        InvalidSpec: the file breaks a rule, or sets a field that no stage acts on yet (unless that is let pass).
        BadInput: more processes than this machine has GPUs or cores.
    """
    document = _load(run_file, refuse_unbuilt=refuse_unbuilt)
    gpus, cores = visible_gpus(), cpu_quota()
    limit, what = (gpus, "GPU(s)") if gpus else (cores, "core(s)")
    processes = options.processes or (gpus if gpus else min(2, cores))
    if processes > limit:
        raise BadInput(
            f"--processes {processes}: this machine has {limit} {what}",
            hint=f"ask for at most {limit}, or leave it out",
        )
    return RunConfig(
        name=document.metadata.name,
        spec=resolve(document.spec),
        workdir=(options.workdir or Path(document.metadata.name)).resolve(),
        base_folder=run_file.resolve().parent,
        mounts=dict(options.mounts),
        sample=options.sample,
        workers=options.workers or cores,
        processes=processes,
    )


def plan_file(run_file: Path, options: Options, *, gpu: str | None = None, price: float | None = None) -> str:
    """The plan of a file as text: for this machine, or with `gpu` or a `cluster` for the cluster it describes."""
    from trainwright import plan
    from trainwright.plan import facts

    config = configure(run_file, options, refuse_unbuilt=False)
    cluster = config.spec.cluster
    if gpu is None and cluster.nodes * cluster.gpus_per_node == 0:
        try:
            steps = survey(config)
        except TrainwrightError:
            steps = []  # a source out of reach: the plan says what it does not know
        return plan.render(plan_of(config, steps))
    machine = plan.cluster_machine(config.spec, gpu=gpu, price=price)
    return plan.render(plan.plan(config.spec, facts.collect(config, {}), machine, name=config.name))


def report_again(workdir: Path, *, examples: bool) -> Path:
    """Make the report of a run anew from its finished stages and return the page's path."""
    from trainwright import report

    try:
        config = RunConfig.model_validate_json((workdir / RUN_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{workdir} is no folder of a run: {RUN_FILE} is not there or unreadable",
            hint="name the --workdir of `trainwright run`",
        ) from error
    config = config.model_copy(update={"workdir": workdir.resolve()})
    finished = {step.stage.name: step.artifact for step in survey(config) if step.artifact is not None}
    report.run(config, finished, config.workdir, examples=examples)
    return config.workdir / "report.html"


def _load(run_file: Path, *, refuse_unbuilt: bool) -> TrainingRun:
    from trainwright.api import load_run

    document = load_run(run_file)
    if refuse_unbuilt and (unbuilt := contract.unbuilt(document.spec)):
        raise InvalidSpec(
            f"{run_file}: not built yet: {', '.join(unbuilt)}",
            hint="remove the field; `trainwright validate` lists them as warnings",
        )
    return document


def _claim(config: RunConfig) -> None:
    """Write run.json; a workdir belongs to the run whose name it holds."""
    path = config.workdir / RUN_FILE
    try:
        owner = json.loads(path.read_text("utf-8")).get("name")
    except (OSError, ValueError):
        owner = None
    if owner not in (None, config.name):
        raise BadInput(
            f"{config.workdir} is the workdir of the run {owner!r}, this file is {config.name!r}",
            hint="choose another folder with --workdir",
        )
    artifacts.write_json(path, config.model_dump(mode="json", by_alias=True))


@dataclass(slots=True)
class Deadline:
    """`activeDeadlineSeconds`, counted from the start of this command."""

    seconds: int | None
    started: float = field(default_factory=time.monotonic)

    def left(self) -> float | None:
        """Seconds left, at least zero; None without a deadline."""
        return None if self.seconds is None else max(0.0, self.started + self.seconds - time.monotonic())

    def judge(self, stopped: Stopped) -> TrainwrightError:
        """The error to tell: the deadline's if it has passed, else that the run was stopped."""
        if self.left() != 0.0:
            return stopped
        return DeadlineExceeded(
            f"still at work after activeDeadlineSeconds: {self.seconds}; {stopped.message}",
            hint="raise activeDeadlineSeconds; the same command goes on",
        )


def _ensure(
    config: RunConfig, step: Step, finished: Mapping[str, Artifact], deadline: Deadline, view: View
) -> Artifact:
    """The finished output of a stage: reused, or made now."""
    if step.artifact is not None:
        view.finished(step, step.artifact, reused=True)
        return step.artifact
    view.started(step)
    stage = step.stage
    job = Job(
        stage=stage.name,
        key=step.key,
        output=str(artifacts.begin(config.workdir, stage, step.key, anew=step.changed == (FRESH,))),
        inputs={name: finished[name].key for name in stage.needs if name in finished},
        facts={"ingredients": step.ingredients},
    )
    ranks = config.processes if stage.name == "train" else 1
    try:
        artifact = launcher.run_stage(
            config.workdir / RUN_FILE,
            job,
            gang=one_node(ranks),
            threads=max(1, cpu_quota() // ranks),
            deadline_s=deadline.left(),
            listener=launcher.Listener(on_line=view.line),
        )
    except Stopped as stopped:
        raise deadline.judge(stopped) from stopped
    view.finished(step, artifact, reused=False)
    return artifact


def plan_of(config: RunConfig, steps: list[Step]) -> Plan:
    """The plan of a run on this machine, with what happens to each stage."""
    from trainwright import plan
    from trainwright.plan import facts

    finished = {step.stage.name: step.artifact for step in steps if step.artifact is not None}
    lines = [plan.StageLine(stage=step.stage.name, will=step.will, because=step.because) for step in steps]
    known, machine = facts.collect(config, finished), facts.this_machine(config)
    return plan.plan(config.spec, known, machine, name=config.name, stages=lines)


def _show_plan(config: RunConfig, steps: list[Step], view: View) -> None:
    """Print and keep the plan; refuse what cannot fit unless it is all there already."""
    from trainwright import plan

    made = plan_of(config, steps)
    view.plan(plan.render(made))
    artifacts.write_json(config.workdir / "plan.json", plan.to_json(made))
    if any(step.artifact is None for step in steps):
        plan.check(made)
