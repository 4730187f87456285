"""All stages of a run on one machine, in order, each reused when its key has a finished output.

In: a TrainingRun file. Out: WORKDIR/stages/…, model/, report.html and metrics.json. Stages run in processes of their
own (launcher.py); this process only compares keys, so a run with nothing to do ends in a moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainwright import artifacts, contract, launcher, storage
from trainwright.api import TrainingRun, resolve
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig, Stage
from trainwright.environment import cpu_quota, visible_gpus
from trainwright.errors import BadInput, InvalidSpec
from trainwright.stage_process import Job

if TYPE_CHECKING:
    from trainwright.plan import Plan

RUN_FILE = "run.json"
UNFINISHED = "unfinished"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage of this run: its key, what went into it, its finished output if any, and why it is not reused."""

    stage: Stage
    key: str
    ingredients: Mapping[str, Any]
    artifact: Artifact | None
    changed: tuple[str, ...]

    @property
    def will(self) -> str:
        """What happens to it: reused, goes on, or will run."""
        if self.artifact is not None:
            return "reused"
        return "goes on" if self.changed == (UNFINISHED,) and self.stage.resumable else "will run"

    @property
    def because(self) -> str:
        """Why it is not reused; empty at the first run."""
        if self.changed == (UNFINISHED,):
            return "it did not finish"
        return f"{', '.join(self.changed)} changed" if self.changed else ""


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
        for step in steps:
            finished[step.stage.name] = _ensure(config, step, finished, view)
            if step.stage.name == options.until:
                break
        _deliver(config, finished)
    return config.workdir


def configure(run_file: Path, options: Options) -> RunConfig:
    """The settings of a run from its file and the command line.

    Raises:
        InvalidSpec: the file breaks a rule, or sets a field that no stage acts on yet.
        BadInput: more processes than this machine has GPUs or cores.
    """
    document = _load(run_file)
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


def survey(config: RunConfig, *, fresh: tuple[str, ...] = ()) -> list[Step]:
    """Every stage of the run with its key, whether its output exists, and what changed since the last one if not.

    All keys follow from the spec and the sources' contents, so nothing has to run to know them.
    """
    spec = config.spec.model_dump(by_alias=True, mode="json")
    keys: dict[str, str] = {}
    steps = []
    for stage in contract.stages_of(config.spec):
        ingredients = {
            "fields": artifacts.projection(spec, stage.fields),
            "inputs": {name: keys[name] for name in stage.needs if name in keys},
            "sources": dict(_sources(stage, config)),
            "sample": config.sample if stage.name == "ingest" else None,
        }
        key = keys[stage.name] = artifacts.key_of(stage, ingredients)
        if stage.name in fresh:
            artifacts.discard(config.workdir, stage.name, key)
        found = artifacts.find(config.workdir, stage.name, key)
        changed = () if found else _changes(config.workdir, stage, key, ingredients, fresh)
        steps.append(Step(stage=stage, key=key, ingredients=ingredients, artifact=found, changed=changed))
    return steps


def plan_file(run_file: Path, options: Options, *, gpu: str | None = None, price: float | None = None) -> str:
    """The plan of a file as text: for this machine, or with `gpu` or a `cluster` for the cluster it describes."""
    from trainwright import plan
    from trainwright.plan import facts

    config = configure(run_file, options)
    cluster = config.spec.cluster
    if gpu is None and cluster.nodes * cluster.gpus_per_node == 0:
        return plan.render(plan_of(config, survey(config)))
    machine = plan.cluster_machine(config.spec, gpu=gpu, price=price)
    return plan.render(plan.plan(config.spec, facts.collect(config, {}), machine, name=config.name))


def newest(workdir: Path, stage: str) -> Artifact:
    """The output of a stage that finished last in a workdir.

    Raises:
        BadInput: there is none.
    """
    done = sorted((workdir / "stages" / stage).glob("*/done.json"), key=lambda path: path.stat().st_mtime)
    found = artifacts.find(workdir, stage, done[-1].parent.name) if done else None
    if found is None:
        raise BadInput(
            f"{workdir} has no finished stage {stage}", hint=f"trainwright run FILE --workdir {workdir} makes it"
        )
    return found


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


def _load(run_file: Path) -> TrainingRun:
    from trainwright.api import load_run

    document = load_run(run_file)
    if unbuilt := contract.unbuilt(document.spec):
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


def _uris(stage: Stage, config: RunConfig) -> Iterator[str]:
    """The sources a stage reads itself; what other stages made is known by key."""
    spec = config.spec
    model = spec.model
    candidates: dict[str, list[str | None]] = {
        "ingest": [source.uri for source in spec.data.sources],
        "prepare": [spec.data.prepare.offensive.lexicon],
        "index": [spec.vector_store.embedding],
        "train": [spec.training.resume_from],
    }
    if model is not None:
        scratch = model.scratch.config if model.scratch else None
        tokenizer = model.tokenizer.from_ if model.tokenizer else None
        candidates["weights"] = [model.from_, scratch, tokenizer]
    yield from (uri for uri in candidates.get(stage.name, []) if uri is not None)


def _sources(stage: Stage, config: RunConfig) -> Iterator[tuple[str, list[list[str]]]]:
    """The digests of what a stage reads besides other stages' outputs, by URI."""
    for uri in _uris(stage, config):
        yield uri, [[file.name, file.digest] for file in storage.list_files(uri, config)]
    if stage.name == "index" and config.spec.vector_store.embedding is None:
        from trainwright.index import table

        yield "the product's embedding table", [["table", table.address()]]


def _changes(workdir: Path, stage: Stage, key: str, new: Mapping[str, Any], fresh: tuple[str, ...]) -> tuple[str, ...]:
    """What differs from the newest finished output of this stage, in words of the file; empty if there is none."""
    if stage.name in fresh:
        return ("--fresh",)
    if (artifacts.folder_of(workdir, stage.name, key)).exists():
        return (UNFINISHED,)
    folders = sorted((workdir / "stages" / stage.name).glob("*/done.json"), key=lambda path: path.stat().st_mtime)
    if not folders:
        return ()
    try:
        done = json.loads(folders[-1].read_text("utf-8"))
        old = done["ingredients"]
    except (OSError, ValueError, KeyError):
        return ("its last output cannot be read",)
    words = [name for name, value in new["fields"].items() if old["fields"].get(name) != value]
    words += [f"the content of {uri}" for uri, value in new["sources"].items() if old["sources"].get(uri) != value]
    words += [f"stage {name}" for name, value in new["inputs"].items() if old["inputs"].get(name) != value]
    words += ["--sample"] if old.get("sample") != new["sample"] else []
    words += ["a newer version of the stage"] if done.get("version") != stage.version else []
    return tuple(words) or ("its inputs",)


def _ensure(config: RunConfig, step: Step, finished: Mapping[str, Artifact], view: View) -> Artifact:
    """The finished output of a stage: reused, or made now."""
    if step.artifact is not None:
        view.finished(step, step.artifact, reused=True)
        return step.artifact
    view.started(step)
    stage = step.stage
    job = Job(
        stage=stage.name,
        key=step.key,
        output=str(artifacts.begin(config.workdir, stage, step.key)),
        inputs={name: finished[name].key for name in stage.needs if name in finished},
        facts={"ingredients": step.ingredients},
    )
    ranks = config.processes if stage.name == "train" else 1
    artifact = launcher.run_stage(
        config.workdir / RUN_FILE,
        job,
        processes=ranks,
        threads=max(1, cpu_quota() // ranks),
        on_line=view.line,
    )
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


def _deliver(config: RunConfig, finished: Mapping[str, Artifact]) -> None:
    """Bring the result and the report where people look for them; nothing is copied twice."""
    if (export := finished.get("export")) is not None:
        output = config.spec.output
        storage.deliver(export.folder / "model", output.uri if output else None, config)
    if (report := finished.get("report")) is not None:
        for name in ("report.html", "metrics.json"):
            (config.workdir / name).write_bytes((report.folder / name).read_bytes())
