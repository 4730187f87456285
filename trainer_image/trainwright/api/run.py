"""`TrainingRun`, its metadata and `Spec`: what is made, where it runs, and how the run is treated."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.api.cluster import Cluster
from trainwright.api.data import Data
from trainwright.api.evaluation import Evaluation, Output
from trainwright.api.metadata import Metadata
from trainwright.api.model import Model
from trainwright.api.rules import ApiModel, Rule, UpdateRule
from trainwright.api.scalars import Seconds
from trainwright.api.spec_rules import RULES, UPDATE_RULES
from trainwright.api.status import Status
from trainwright.api.training import Checkpoint, Training
from trainwright.api.vector_store import VectorStore

API_VERSION = "trainwright.dev/v1alpha1"
KIND = "TrainingRun"


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
    """The rows: where from, what is done to them, what they must look like."""
    vector_store: Annotated[VectorStore, Field(default_factory=VectorStore)]
    """Searchable embeddings of the training rows."""
    training: Annotated[Training, Field(default_factory=Training)]
    """How the weights are trained."""
    evaluation: Annotated[Evaluation, Field(default_factory=Evaluation)]
    """How the model is judged."""
    output: Output | None = None
    """Where the result goes. Absent: WORKDIR/model on one machine, the workspace on a cluster (gone with the run
    unless the workspace is named)."""
    cluster: Annotated[Cluster, Field(default_factory=Cluster)]
    """Where the run works: nodes, GPUs, workspace, settings of pods. Ignored on one machine; may change while the run
    is suspended."""
    checkpoint: Annotated[Checkpoint, Field(default_factory=Checkpoint)]
    """How often the training is saved against crashes; a change takes effect at the next attempt."""
    suspend: bool = False
    """True stops the run after a checkpoint, frees every GPU and keeps everything finished; false lets it go on.
    Ignored on one machine."""
    active_deadline_seconds: Annotated[int, Field(ge=1, le=2_000_000_000)] | None = None
    """Seconds from the start or the last resume; then the run fails with reason DeadlineExceeded. Absent: none."""
    ttl_seconds_after_finished: Seconds | None = None
    """Seconds after which a finished run is deleted; absent: never. Ignored on one machine."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 3
    """How often a stage may fail before the run does; lost nodes, evictions and preemptions are not counted. Ignored on
    one machine."""
    rules: ClassVar[tuple[Rule, ...]] = RULES
    update_rules: ClassVar[tuple[UpdateRule, ...]] = UPDATE_RULES

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
