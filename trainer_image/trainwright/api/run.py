"""`TrainingRun`, its metadata and `Spec`: what is made, where it runs, and how the run is treated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.api.cluster import Cluster
from trainwright.api.data import Data
from trainwright.api.evaluation import Evaluation, Output
from trainwright.api.model import Model
from trainwright.api.rules import ApiModel, Json, Rule, UpdateRule, has
from trainwright.api.scalars import NAME_MESSAGE, NAME_PATTERN, Seconds, text_like
from trainwright.api.status import Status
from trainwright.api.training import Checkpoint, Training
from trainwright.api.vector_store import VectorStore

API_VERSION = "trainwright.dev/v1alpha1"
KIND = "TrainingRun"
FIXED = ("goal", "model", "data", "vectorStore", "training", "evaluation", "output")
"""The fields that say what is made."""
OF_EVALUATE = ("sequenceLength", "truncation", "packing", "precision")
"""The fields of training that goal Evaluate has a use for."""

_NAMED_WORKSPACE = (
    "(has(self.cluster) && has(self.cluster.workspace)"
    " && (has(self.cluster.workspace.claimName) || has(self.cluster.workspace.uri)))"
)


def _lasts(spec: Json) -> bool:
    workspace = ("cluster", "workspace")
    return has(spec, "output") or has(spec, *workspace, "claimName") or has(spec, *workspace, "uri")


def _has_only(group: Any, names: tuple[str, ...]) -> bool:
    return not isinstance(group, Mapping) or all(name in names or value is None for name, value in group.items())


def _same(old: Any, new: Any) -> bool:
    return bool(_canonical(old) == _canonical(new))


def _canonical(value: Any, name: str = "") -> Any:
    """Drop nulls and the order of lists with keys, as the API server compares."""
    if isinstance(value, Mapping):
        return {key: _canonical(member, key) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        key = {"gates": "metric", "credentials": "prefix", "env": "name"}.get(name)
        items = [_canonical(item) for item in value]
        return sorted(items, key=lambda item: str(item.get(key))) if key else items
    return value


def _fixed(name: str) -> UpdateRule:
    return UpdateRule(
        id=f"{name}-fixed",
        cel=f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
        holds=lambda old, new: _same(old.get(name), new.get(name)),
        message="cannot change (only cluster, checkpoint, suspend, activeDeadlineSeconds, ttlSecondsAfterFinished and"
        " backoffLimit can): create another run; in the same workspace it reuses finished stages",
        field=name,
    )


class Spec(ApiModel):
    """What is made (goal, model, data, vectorStore, training, evaluation, output), where it runs (cluster), and how
    the run is treated (the rest)."""

    goal: Literal["Train", "PrepareData", "Evaluate"] = "Train"
    """Train: all stages. PrepareData: ingest, prepare, index, and export of the rows; no model. Evaluate: weights,
    ingest, prepare, tokenize, evaluate. report is always made and adds report.html and metrics.json to the
    output."""
    model: Model | None = None
    """The model to start from; required unless goal is PrepareData."""
    data: Data
    """Rows."""
    vector_store: Annotated[VectorStore, Field(default_factory=VectorStore)]
    """Searchable embeddings of the training rows."""
    training: Annotated[Training, Field(default_factory=Training)]
    """The mathematics of the training."""
    evaluation: Annotated[Evaluation, Field(default_factory=Evaluation)]
    """How the model is judged."""
    output: Output | None = None
    """Absent: WORKDIR/model on one machine, the workspace on a cluster (gone with the run unless the workspace is
    named)."""
    cluster: Annotated[Cluster, Field(default_factory=Cluster)]
    """Where it runs."""
    checkpoint: Annotated[Checkpoint, Field(default_factory=Checkpoint)]
    """Safety against crashes; a change takes effect at the next attempt."""
    suspend: bool = False
    """Stops after the current checkpoint, frees every GPU, keeps everything finished. Ignored on one machine."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=2_000_000_000)] | None = None
    """Seconds from the start or the last resume; then the run fails with reason DeadlineExceeded. Absent: none."""
    ttl_seconds_after_finished: Seconds | None = None
    """Seconds after which a finished run is deleted; absent: never. Ignored on one machine."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 3
    """Failures of a stage that are the user's; lost nodes, evictions and preemptions are not counted. Ignored on one
    machine."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="goal-model",
            cel="(has(self.goal) && self.goal == 'PrepareData') || has(self.model)",
            holds=lambda s: s.get("goal") == "PrepareData" or has(s, "model"),
            message="model is required unless goal is PrepareData",
            field="model",
            reason="FieldValueRequired",
        ),
        Rule(
            id="goal-prepare",
            cel="!has(self.goal) || self.goal != 'PrepareData' || !(has(self.training) || has(self.evaluation))",
            holds=lambda s: s.get("goal") != "PrepareData" or not (has(s, "training") or has(s, "evaluation")),
            message="goal PrepareData has neither training nor evaluation",
        ),
        Rule(
            id="goal-evaluate",
            cel="!has(self.goal) || self.goal != 'Evaluate' || !has(self.model) || has(self.model.from)",
            holds=lambda s: s.get("goal") != "Evaluate" or not has(s, "model") or has(s, "model", "from"),
            message="goal Evaluate needs model.from",
            field="model",
        ),
        Rule(
            id="evaluate-training",
            cel="!has(self.goal) || self.goal != 'Evaluate' || !has(self.training) || !("
            + " || ".join(
                f"has(self.training.{field.alias or name})"
                for name, field in Training.model_fields.items()
                if field.alias not in OF_EVALUATE
            )
            + ")",
            holds=lambda s: s.get("goal") != "Evaluate" or _has_only(s.get("training"), OF_EVALUATE),
            message=f"goal Evaluate has of training only {', '.join(OF_EVALUATE)}",
            field="training",
        ),
        Rule(
            id="ttl-output",
            cel=f"!has(self.ttlSecondsAfterFinished) || has(self.output) || {_NAMED_WORKSPACE}",
            holds=lambda s: not has(s, "ttlSecondsAfterFinished") or _lasts(s),
            message="would delete the weights with the run: set output.uri, or a workspace that outlives it",
            field="ttlSecondsAfterFinished",
        ),
        Rule(
            id="prepare-lasts",
            cel=f"!has(self.goal) || self.goal != 'PrepareData' || has(self.output) || {_NAMED_WORKSPACE}",
            holds=lambda s: s.get("goal") != "PrepareData" or _lasts(s),
            message="PrepareData leaves nothing behind without output.uri or a workspace that outlives the run"
            " (claimName, uri)",
            cluster=True,
        ),
    )
    update_rules: ClassVar[tuple[UpdateRule, ...]] = (
        *(_fixed(name) for name in FIXED),
        UpdateRule(
            id="where-while-suspended",
            cel="(has(oldSelf.suspend) && oldSelf.suspend) || (has(self.cluster) == has(oldSelf.cluster)"
            " && (!has(self.cluster) || self.cluster == oldSelf.cluster))",
            holds=lambda old, new: old.get("suspend") is True or _same(old.get("cluster"), new.get("cluster")),
            message="can change only while the run is suspended: set suspend: true first",
            field="cluster",
        ),
        UpdateRule(
            id="workspace-fixed",
            cel="(has(oldSelf.cluster) && has(oldSelf.cluster.workspace)) == (has(self.cluster)"
            " && has(self.cluster.workspace)) && (!has(self.cluster) || !has(self.cluster.workspace)"
            " || self.cluster.workspace == oldSelf.cluster.workspace)",
            holds=lambda old, new: _same(
                (old.get("cluster") or {}).get("workspace"), (new.get("cluster") or {}).get("workspace")
            ),
            message="cannot change: finished stages are in it",
            field="cluster.workspace",
        ),
    )

    @property
    def objective(self) -> Literal["Pretrain", "Finetune"]:
        """Which tokens are learnt: as given, else Pretrain from scratch and Finetune from existing weights."""
        return self.training.objective or ("Pretrain" if self._is_from_scratch else "Finetune")

    @property
    def peak_learning_rate(self) -> float:
        """The rate after warm-up: as given, else 3e-4 from scratch, 2e-4 for LoRA, 2e-5 for all weights."""
        if self.training.learning_rate is not None:
            return self.training.learning_rate
        if self._is_from_scratch:
            return 3e-4
        return 2e-4 if self.training.lora is not None else 2e-5

    @property
    def epochs(self) -> float | None:
        """Passes over the training rows: as given, else 3 for Finetune and 1 for Pretrain; None where maxSteps ends
        the run."""
        if self.training.max_steps is not None:
            return None
        return self.training.epochs or {"Finetune": 3.0, "Pretrain": 1.0}[self.objective]

    @property
    def _is_from_scratch(self) -> bool:
        return self.model is not None and self.model.scratch is not None


class Metadata(ApiModel):
    """The part of metav1.ObjectMeta that a file may give; the rest is the API server's and ignored."""

    model_config = {**ApiModel.model_config, "extra": "ignore"}

    name: Annotated[str, *text_like("name", NAME_PATTERN, NAME_MESSAGE, 253, kind="name")]
    """The run's name: 1 to 40 characters of a-z, 0-9 and '-', beginning with a letter."""
    namespace: str | None = None
    """Its namespace; ignored on one machine."""
    labels: dict[str, str] = {}
    """Ignored on one machine."""
    annotations: dict[str, str] = {}
    """Ignored on one machine."""


class TrainingRun(ApiModel):
    """Trains one conversational model: rows in, weights out."""

    api_version: Literal["trainwright.dev/v1alpha1"]
    """Group and version of this API."""
    kind: Literal["TrainingRun"]
    """Always TrainingRun."""
    metadata: Metadata
    """Name, namespace, labels."""
    spec: Spec
    """What the user wants."""
    status: Status | None = None
    """What the operator saw."""


def resolve(spec: Spec) -> Spec:
    """Fill in every default that is a literal, so that two specs that mean the same dump equally.

    Defaults that depend on data or model (batchTokens, sequenceLength, a revision) stay absent: the stage that needs
    one computes and records it.
    """
    training = spec.training.model_copy(
        update={"objective": spec.objective, "learning_rate": spec.peak_learning_rate, "epochs": spec.epochs}
    )
    return spec.model_copy(update={"training": training})
