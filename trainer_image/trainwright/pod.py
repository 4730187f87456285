"""PID 1 of a pod: runs the stages that are named, one after the other, and leaves a report.

In: $TRAINWRIGHT_RUN_CONFIG (run.json), the workspace, and names of stages; `preflight` may be among them. Out: the
stages' outputs in the workspace, the termination message (`PodReport`), posts of progress, and the contract's exit
code. Finished stages are reused. Every pod of a run keeps its jobs and logs in RUN_FOLDER/pods/NAME/, so that pods
never write into each other's files.

By hand: python -m trainwright pod weights,ingest,prepare,tokenize,preflight
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from trainwright import artifacts, environment, launcher, pod_report
from trainwright.artifacts import Artifact, Owner
from trainwright.contract import PodReport, RunConfig, StageReport, Verdict
from trainwright.delivery import deliver
from trainwright.environment import Gang, Pod
from trainwright.errors import EXIT_DONE, BadInput, Stopped, TrainwrightError
from trainwright.posts import Poster
from trainwright.progress import JsonLines
from trainwright.stage_process import Job, told
from trainwright.survey import Step, pinned

LOG = logging.getLogger(__name__)
PREFLIGHT = "preflight"
PLANNED_AFTER = ("weights", "tokenize")


def main(names: Sequence[str]) -> int:
    """Run the named stages in this pod, write the termination message and return the exit code."""
    environment.adopt_orphans()
    logging.basicConfig(level=logging.INFO, handlers=[JsonLines("pod", 0)], force=True)
    pod = environment.pod()
    work: Work | None = None
    failure: Verdict | None = None
    with _ending_on_signals():
        try:
            work = begin(pod, names)
            work.poster.start()
            for name in names:
                work.do(name)
        except BaseException as error:  # noqa: BLE001 - the edge of the process
            failure = _verdict(error, work, pod)
    report = (work.report() if work is not None else PodReport()).model_copy(update={"failure": failure})
    if work is not None:
        work.poster.stop()
    _leave(pod.termination_log, report)
    return EXIT_DONE if failure is None else failure.exit_code


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Raise Stopped on SIGTERM: for PID 1 the kernel does nothing by itself. Afterwards both signals are ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped("the pod was stopped", hint="it goes on where it was")

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)


@dataclass(slots=True, kw_only=True)
class Work:
    """The stages of a run as this pod sees them, and what it has to say of them."""

    config: RunConfig
    config_path: Path
    gang: Gang | None
    steps: dict[str, Step]
    pod: Pod
    poster: Poster = field(init=False)
    at: str = ""
    """The stage at work."""
    _said: PodReport = field(default_factory=PodReport)
    _finished: dict[str, Artifact] = field(default_factory=dict)
    """What this pod has run or found."""

    def __post_init__(self) -> None:
        self._said = PodReport(keys={name: step.key for name, step in self.steps.items()})
        self.poster = Poster(self.pod, self.report, epochs=self.config.spec.epochs)

    def report(self) -> PodReport:
        """What there is to say now; also asked from the thread that posts."""
        known = dict(self._finished)
        if "evaluate" in known and (train := self.steps["train"].artifact if "train" in self.steps else None):
            known["train"] = train  # its validations go with the scores of the candidates
        found = pod_report.fragments(self.config, known)
        if self.at == "train" and "train" not in self._finished and self._is_first_node:
            folder = artifacts.folder_of(self.config.workdir, "train", self.steps["train"].key)
            found |= pod_report.of_training(self.config, folder)
        return self._said.model_copy(update=found)

    def do(self, name: str) -> None:
        """Run one stage to its end, or find that it is done."""
        self.at = name
        self.poster.begin("train" if name == PREFLIGHT else name)
        started = time.monotonic()
        if name == PREFLIGHT:
            self._preflight()
            return
        step = self.steps[name]
        artifact = artifacts.find(self.config.workdir, name, step.key)
        reused = artifact is not None
        if artifact is None:
            artifact = self._run(step)
        self._finished[name] = artifact
        entry = StageReport(
            state="Reused" if reused else "Succeeded",
            key=step.key,
            message=str(artifact.done.get("message") or ""),
            seconds=round(time.monotonic() - started, 3),
        )
        self._say_of_stage(name, entry)
        LOG.info("%s: %s", name, "reused" if reused else "done")
        if name in PLANNED_AFTER and self.config.spec.goal == "Train":
            self._plan()
        if name in ("export", "report"):
            self._deliver()

    def say_failed(self, error: TrainwrightError) -> None:
        """The stage at work has failed."""
        if self.at in self.steps:
            done, total = self.poster.done
            key = self.steps[self.at].key
            words = f"{error.reason}: {error.message}"[:512]
            self._say_of_stage(self.at, StageReport(state="Failed", key=key, message=words, done=done, total=total))

    @property
    def _is_first_node(self) -> bool:
        return self.gang is None or self.gang.node_rank == 0

    def _say_of_stage(self, name: str, entry: StageReport) -> None:
        self._said = self._said.model_copy(update={"stages": {**self._said.stages, name: entry}})

    def _run(self, step: Step) -> Artifact:
        stage = step.stage
        gang = self.gang if self.gang is not None and stage.name == "train" else environment.one_node(1)
        owner = Owner.of(self.config)
        job = Job(
            stage=stage.name,
            key=step.key,
            output=str(artifacts.begin(self.config.workdir, stage, step.key, owner)),
            inputs={need: self.steps[need].key for need in stage.needs if need in self.steps},
            facts={"ingredients": step.ingredients},
            attempt=owner.attempt,
        )
        return launcher.run_stage(
            self.config_path,
            job,
            gang=gang,
            threads=max(1, environment.cpu_quota() // gang.per_node),
            listener=self._listener(),
        )

    def _listener(self) -> launcher.Listener:
        return launcher.Listener(
            on_line=self.poster.line,
            on_ranks=self.poster.watch if self.at == "train" else lambda ranks: None,
            echo=sys.stdout.buffer,
        )

    def _preflight(self) -> None:
        """Try whether training can begin, unless it has ended already."""
        train = self.steps.get("train")
        if train is None or artifacts.find(self.config.workdir, "train", train.key) is not None:
            return
        keys = {name: self.steps[name].key for name in train.stage.needs}
        folder = self.config_path.parent
        job = Job(stage=PREFLIGHT, key=train.key, output=str(folder), inputs=keys)
        launcher.run_check(
            self.config_path, job, threads=environment.cpu_quota(), listener=launcher.Listener(echo=sys.stdout.buffer)
        )

    def _plan(self) -> None:
        """Plan with what is known now, for the status and for the report."""
        from trainwright import plan
        from trainwright.preflight import plan_on_cluster

        before = {name: step.artifact for name, step in self.steps.items() if step.artifact is not None}
        made = plan_on_cluster(self.config, before | self._finished)
        artifacts.write_json(self.config.folder / "plan.json", plan.to_json(made))
        self._said = self._said.model_copy(update={"plan": pod_report.of_plan(made)})

    def _deliver(self) -> None:
        place = deliver(self.config, self._finished)
        export = self._finished.get("export")
        if place is not None and export is not None:
            local = Path(place)
            inside = local.is_absolute() and local.is_relative_to(self.config.workdir)
            uri = self.config.uri_of(local) if inside else self._output_uri(place)
            self._said = self._said.model_copy(update={"output": pod_report.of_output(uri, export)})

    def _output_uri(self, place: str) -> str:
        output = self.config.spec.output
        return str(output.uri) if output is not None else place


def begin(pod: Pod, names: Sequence[str]) -> Work:
    """Read the run's settings and the keys of its stages; the first pod that does pins them.

    Raises:
        BadInput: the settings cannot be read, or a stage that is named is none of this run's.
    """
    try:
        config = RunConfig.model_validate_json(pod.run_config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{pod.run_config} cannot be read as the settings of a run: {error}", hint="the operator writes it"
        ) from error
    gang, cores = environment.gang(), environment.cpu_quota()
    config = config.model_copy(
        update={"workers": cores, "processes": gang.per_node if gang else 1, "attempt": pod.attempt}
    )
    folder = config.folder / "pods" / pod.name
    folder.mkdir(parents=True, exist_ok=True)
    config_path = folder / "run.json"
    artifacts.write_json(config_path, config.model_dump(mode="json", by_alias=True))
    steps = {step.stage.name: step for step in pinned(config, config.folder / "keys.json")}
    foreign = [name for name in names if name not in steps and name != PREFLIGHT]
    if foreign:
        raise BadInput(f"{foreign[0]!r} is no stage of this run", hint=f"its stages are {', '.join(steps)}")
    return Work(config=config, config_path=config_path, gang=gang, steps=steps, pod=pod)


def _verdict(error: BaseException, work: Work | None, pod: Pod) -> Verdict:
    """What the pod failed with, as the operator reads it."""
    stage = work.at if work is not None else ""
    if not isinstance(error, TrainwrightError):
        traceback.print_exception(error)
        error = told(error, stage or "the pod", work.config_path.parent if work is not None else pod.run_config.parent)
    LOG.error("%s: %s", error.reason, error.message)
    if work is not None:
        work.say_failed(error)
    return Verdict(
        reason=error.reason,
        message=error.message[:2000],
        hint=error.hint[:1000],
        exit_code=error.exit_code,
        stage="train" if stage == PREFLIGHT else stage,
        rank=error.rank,
        step=error.step,
    )


def _leave(path: Path, report: PodReport) -> None:
    """Write the termination message; outside of a cluster there may be no place for it."""
    try:
        path.write_text(report.to_message(), "utf-8")
    except OSError as error:
        LOG.warning("the termination message cannot be written to %s: %s", path, error)
