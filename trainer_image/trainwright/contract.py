"""What the parts agree on: the graph of stages, the run's settings as stages see them, verdicts and progress.

The command line, the operator and the pods all import this and nothing else of each other. No torch, no polars here:
importing it is cheap, so that keys can be compared before anything heavy is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from trainwright.api import NOT_BUILT as NOT_BUILT  # noqa: PLC0414 - part of the contract
from trainwright.api import Spec
from trainwright.api import unbuilt as unbuilt  # noqa: PLC0414 - part of the contract
from trainwright.api.status import (
    BestStatus,
    CheckpointStatus,
    DataStatus,
    EvaluationStatus,
    OutputStatus,
    PlanStatus,
    ResultStatus,
)

Goal = Literal["Train", "PrepareData", "Evaluate"]
TRAIN: frozenset[Goal] = frozenset({"Train"})
MODEL: frozenset[Goal] = frozenset({"Train", "Evaluate"})
ROWS: frozenset[Goal] = frozenset({"Train", "PrepareData"})
ALL: frozenset[Goal] = frozenset({"Train", "PrepareData", "Evaluate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the way of a run.

    `needs` are the stages whose outputs it reads; `goals` those of the spec that include it; `fields` the fields of the
    spec that its result depends on (`a.b[].c` goes into every item of a list): they, the keys of `needs`, the digests
    of its own sources and `version` make its key. Raise `version` whenever the same input gives another output.
    """

    name: str
    needs: tuple[str, ...] = ()
    goals: frozenset[Goal]
    fields: tuple[str, ...] = ()
    fans_out: bool = False
    resumable: bool = False
    version: int = 1


STAGES: tuple[Stage, ...] = (
    Stage(
        name="weights",
        goals=MODEL,
        fields=("model.from", "model.scratch", "model.tokenizer"),
    ),
    Stage(
        name="ingest",
        goals=ALL,
        fans_out=True,
        fields=(
            "data.sources[].uri",
            "data.sources[].format",
            "data.sources[].columns",
            "data.sources[].maxRows",
            "data.onBadRows",
            "data.maxBadShare",
            "training.seed",
        ),
    ),
    Stage(
        name="prepare",
        needs=("ingest",),
        goals=ALL,
        fans_out=True,
        fields=("data.sources[].use", "data.prepare", "data.audit", "data.split", "training.seed"),
    ),
    Stage(
        name="tokenize",
        needs=("weights", "prepare"),
        goals=MODEL,
        fans_out=True,
        fields=(
            "model.tokenizer",
            "model.chatTemplate",
            "model.systemPrompt",
            "data.sources[].weight",
            "training.objective",
            "training.sequenceLength",
            "training.truncation",
            "training.packing",
            "training.seed",
        ),
    ),
    Stage(
        name="index",
        needs=("prepare",),
        goals=ROWS,
        fans_out=True,
        fields=("vectorStore",),
    ),
    Stage(
        name="train",
        needs=("weights", "tokenize"),
        goals=TRAIN,
        resumable=True,
        fields=(
            "training.objective",
            "training.lora",
            "training.epochs",
            "training.maxSteps",
            "training.learningRate",
            "training.schedule",
            "training.warmup",
            "training.weightDecay",
            "training.adamBetas",
            "training.clipNorm",
            "training.batchTokens",
            "training.precision",
            "training.seed",
            "training.earlyStopping",
            "training.resumeFrom",
            "training.command",
            "training.image",
            "training.code",
            "evaluation.every",
            "evaluation.keep",
            "evaluation.maxRows",
        ),
    ),
    Stage(
        name="evaluate",
        needs=("weights", "prepare", "tokenize", "train"),
        goals=MODEL,
        fields=(
            "evaluation.metrics",
            "evaluation.generate",
            "evaluation.gates",
            "evaluation.probes",
            "evaluation.maxRows",
            "training.precision",
        ),
    ),
    Stage(
        name="export",
        needs=("weights", "ingest", "prepare", "tokenize", "train", "evaluate"),
        goals=ROWS,
        fields=("goal", "data.sources[].license"),
    ),
    Stage(
        name="report",
        needs=("weights", "ingest", "prepare", "tokenize", "index", "train", "evaluate", "export"),
        goals=ALL,
    ),
)

STAGE: Mapping[str, Stage] = {stage.name: stage for stage in STAGES}


def stages_of(spec: Spec) -> tuple[Stage, ...]:
    """The stages of this run, in the order they run."""
    return tuple(
        stage for stage in STAGES if spec.goal in stage.goals and (stage.name != "index" or spec.vector_store.enabled)
    )


class RunConfig(BaseModel):
    """run.json: everything a stage may know about its run.

    Only `spec` and `sample` (with the sources' contents) shape results; the rest says where and how fast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    spec: Spec
    """The spec with all literal defaults resolved."""
    workdir: Path
    """Folder of this run: stages/, model/, report.html, metrics.json."""
    base_folder: Path
    """`./` URIs are relative to it: the folder of the YAML file."""
    mounts: dict[str, Path] = Field(default_factory=dict)
    """Where `pvc://CLAIM/` lies on this machine."""
    sample: int | None = None
    """At most so many exchanges per source, taken by hash; absent: all."""
    workers: int = 1
    """Processes of ingest, prepare and tokenize; no result depends on it."""
    processes: int = 1
    """Training processes on this machine."""
    attempt: int = 1
    """Counts the starts of the stage at work; part of temporary names."""
    run_folder: Path | None = None
    """Folder of what belongs to this run alone (keys, plan, report, model) where several runs share a workdir; its name
    is the run's UID. Absent: the workdir."""
    workdir_uri: str | None = None
    """How the workdir is named outside of this machine: pvc://CLAIM. Absent: by its path."""

    @property
    def folder(self) -> Path:
        """The folder of what belongs to this run alone."""
        return self.run_folder or self.workdir

    def uri_of(self, path: Path) -> str:
        """How a path under the workdir is named where the run is told of."""
        if self.workdir_uri is None:
            return path.as_uri()
        return f"{self.workdir_uri.rstrip('/')}/{path.relative_to(self.workdir)}"


def source_names(spec: Spec) -> tuple[str, ...]:
    """The name of each source in counts and rows: its URI, with #2, #3 … where one URI stands several times."""
    names: list[str] = []
    for source in spec.data.sources:
        earlier = sum(name == source.uri or name.startswith(source.uri + "#") for name in names)
        names.append(source.uri if not earlier else f"{source.uri}#{earlier + 1}")
    return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a stage says of its work: it becomes part of done.json, the report page and metrics.json.

    `counts` are whole numbers of things (rows in, kept, dropped by reason), `metrics` any other JSON figures,
    `message` one sentence for people.
    """

    message: str
    counts: Mapping[str, int]
    metrics: Mapping[str, Any]


class Verdict(BaseModel):
    """Why a process failed, as it leaves it for its launcher (at most 4 KiB of JSON)."""

    model_config = ConfigDict(frozen=True)

    reason: str
    message: str
    hint: str = ""
    exit_code: int
    stage: str = ""
    rank: int | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Who is charged with a failure of this kind, and what the user can do.

    `user`: counts against backoffLimit; `infrastructure`: tried again without being counted; `final`: trying again
    without a change cannot help.
    """

    charge: Literal["user", "infrastructure", "final"]
    hint: str


REASONS: Mapping[str, Reason] = {
    "InvalidSpec": Reason(charge="final", hint="cure the spec in a new TrainingRun"),
    "BadInput": Reason(charge="final", hint="cure the input, then `trainwright retry`"),
    "DoesNotFit": Reason(charge="final", hint="ask for more memory or disk, or for a smaller model"),
    "DataAudit": Reason(charge="final", hint="review the data or the limits under data.audit"),
    "QualityGate": Reason(charge="final", hint="status.best.uri names the weights; review evaluation.gates"),
    "PreflightFailed": Reason(charge="final", hint="the message says what does not fit together"),
    "NonFinite": Reason(charge="final", hint="lower training.learningRate or look at the rows that are named"),
    "DeadlineExceeded": Reason(charge="final", hint="raise activeDeadlineSeconds, then `trainwright retry`"),
    "WorkspaceFull": Reason(charge="user", hint="make room or raise cluster.workspace.storage"),
    "WorkspaceUnbound": Reason(charge="user", hint="name a storage class that can bind the claim"),
    "OutOfMemory": Reason(charge="user", hint="raise cluster.stages.STAGE.resources.memory"),
    "GpuOutOfMemory": Reason(charge="user", hint="set a smaller cluster.microBatch or a higher cluster.zeroStage"),
    "RankCrashed": Reason(charge="user", hint="`kubectl logs` of the rank's pod has its last words"),
    "RankStalled": Reason(charge="user", hint="look at the node of the rank; the gang starts anew"),
    "GangStalled": Reason(charge="user", hint="no step within cluster.stallTimeout; the gang starts anew"),
    "ImagePull": Reason(charge="user", hint="check cluster.image and cluster.imagePullSecrets"),
    "Unschedulable": Reason(charge="infrastructure", hint="the scheduler's words say what no node has"),
    "WaitingForQuota": Reason(charge="infrastructure", hint="the queue admits it when there is room"),
    "QuotaExceeded": Reason(charge="infrastructure", hint="raise the namespace's quota or ask for less"),
    "PodRefused": Reason(charge="infrastructure", hint="the API server's sentence says what it refuses"),
    "NodeLost": Reason(charge="infrastructure", hint=""),
    "Evicted": Reason(charge="infrastructure", hint=""),
    "Stopped": Reason(charge="infrastructure", hint=""),
    "RetryLater": Reason(charge="user", hint="a passing fault outside; it is tried again"),
    "WorkdirBusy": Reason(charge="infrastructure", hint=""),
    "SchemaBehind": Reason(charge="infrastructure", hint="apply the CRD of this release"),
    "Error": Reason(charge="user", hint="the pod's log has the trace"),
}
"""The one list of reasons: what a failure or a wait can be called in status, verdicts and Events."""

MESSAGE_BYTES = 4096
"""Of a termination message: what Kubernetes keeps of it."""


class _Said(BaseModel):
    """What travels between pod and operator: camelCase like the status; fields of a newer version are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class StageReport(_Said):
    """What a pod says of one of its stages."""

    state: Literal["Succeeded", "Reused", "Failed"]
    key: str | None = None
    message: str | None = None
    seconds: float | None = None
    done: int | None = None
    total: int | None = None


class PodReport(_Said):
    """What a pod leaves at its end: its stages, and fragments of the status in its own shape."""

    stages: dict[str, StageReport] = Field(default_factory=dict)
    keys: dict[str, str] = Field(default_factory=dict)
    """Key of every stage of the run, by the first pod that knows them."""
    plan: PlanStatus | None = None
    data: DataStatus | None = None
    evaluations: list[EvaluationStatus] | None = None
    best: BestStatus | None = None
    checkpoint: CheckpointStatus | None = None
    result: ResultStatus | None = None
    output: OutputStatus | None = None
    failure: Verdict | None = None

    def to_message(self) -> str:
        """JSON of at most `MESSAGE_BYTES` bytes; what is least needed goes first."""
        said = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        for shorten in (_few_evaluations, _short_messages, _few_reasons, _no_evaluations, _bare):
            text = json.dumps(said, separators=(",", ":"))
            if len(text) <= MESSAGE_BYTES:  # ASCII only
                return text
            shorten(said)
        return json.dumps(said, separators=(",", ":"))


def _few_evaluations(said: dict[str, Any]) -> None:
    if "evaluations" in said:
        said["evaluations"] = said["evaluations"][-10:]


def _short_messages(said: dict[str, Any]) -> None:
    for entry in said["stages"].values():
        if "message" in entry:
            entry["message"] = entry["message"][:160]
    if "failure" in said:
        said["failure"]["message"] = said["failure"]["message"][:1000]
        said["failure"]["hint"] = said["failure"].get("hint", "")[:400]


def _few_reasons(said: dict[str, Any]) -> None:
    dropped = said.get("data", {}).get("dropped")
    if dropped:
        said["data"]["dropped"] = dict(sorted(dropped.items(), key=lambda item: -item[1])[:12])


def _no_evaluations(said: dict[str, Any]) -> None:
    said.pop("evaluations", None)


def _bare(said: dict[str, Any]) -> None:
    """States, keys and the verdict's first words: they fit whatever characters they have."""
    for name in ("plan", "data", "best", "checkpoint", "result", "output"):
        said.pop(name, None)
    for entry in said["stages"].values():
        entry.pop("message", None)
    if "failure" in said:
        said["failure"]["message"] = said["failure"]["message"][:200]
        said["failure"]["hint"] = said["failure"]["hint"][:80]


class RankProgress(_Said):
    """One rank's sign of life."""

    rank: int
    step: int | None = None
    heartbeat_age_seconds: float = 0.0


class PodProgress(_Said):
    """What a launcher posts every 10 s."""

    pod: str
    attempt: int
    stage: str
    done: int | None = None
    total: int | None = None
    unit: str = ""
    figures: dict[str, float | int | str] = Field(default_factory=dict)
    ranks: list[RankProgress] = Field(default_factory=list, max_length=64)
    report: PodReport | None = None
