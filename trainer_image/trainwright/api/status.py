"""`status` of a TrainingRun: what the operator writes. Small: a thousand runs are about 4 MB."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from trainwright.api.rules import ApiModel, keyed

Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
Whole = Annotated[int, Field(ge=0)]
Word = Annotated[str, Field(max_length=64)]
Sentence = Annotated[str, Field(max_length=1024)]
StageName = Literal["weights", "ingest", "prepare", "tokenize", "index", "train", "evaluate", "export", "report"]
Phase = Literal[
    "Pending", "Queued", "Preparing", "Training", "Evaluating", "Exporting", "Suspended", "Complete", "Failed"
]
_CONDITIONS: Any = (Field(max_length=8), *keyed("type"))


class Condition(ApiModel):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=316)]
    """Suspended, Complete or Failed."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """One word for programs."""
    message: Annotated[str, Field(max_length=4096)]
    """A sentence for people."""
    last_transition_time: Time
    """When its status changed."""
    observed_generation: Whole | None = None
    """Generation of the spec it speaks of."""


class StageStatus(ApiModel):
    """One stage."""

    state: Literal["Waiting", "Queued", "Running", "Succeeded", "Reused", "Failed", "Skipped"]
    """Waiting for earlier stages; Queued for admission or nodes; Reused from an earlier run; Skipped by the goal."""
    attempt: Whole | None = None
    """Number of the current attempt, from 1."""
    key: Word | None = None
    """Address of the output: inputs, settings and code in one hash."""
    start_time: Time | None = None
    """Start of the current attempt."""
    completion_time: Time | None = None
    """End of the current attempt."""
    done: Whole | None = None
    """Shards or steps done."""
    total: Whole | None = None
    """Shards or steps in all."""
    message: Annotated[str, Field(max_length=512)] | None = None
    """Why it waits, or what it did."""


class StagesStatus(ApiModel):
    """One entry per stage, named as in spec.cluster.stages."""

    weights: StageStatus | None = None
    """Fetches the model."""
    ingest: StageStatus | None = None
    """Reads the sources."""
    prepare: StageStatus | None = None
    """Prepares rows."""
    tokenize: StageStatus | None = None
    """Makes tokens."""
    index: StageStatus | None = None
    """Makes embeddings."""
    train: StageStatus | None = None
    """Trains."""
    evaluate: StageStatus | None = None
    """Judges candidates."""
    export: StageStatus | None = None
    """Verifies and delivers the result."""
    report: StageStatus | None = None
    """Makes report.html and metrics.json."""


class PlanStatus(ApiModel):
    """Estimates, made before anything is spent."""

    parameters: Whole | None = None
    """Parameters of the model."""
    tokens: Whole | None = None
    """Tokens to be trained on, over all epochs."""
    steps: Whole | None = None
    """Optimiser steps."""
    memory_per_gpu: Annotated[str, Field(max_length=16)] | None = None
    """Memory that a GPU needs, as in 61Gi."""
    duration: Annotated[str, Field(max_length=32)] | None = None
    """Time of train alone, at the speed expected; the other stages come on top."""
    gpu_hours: float | None = None
    """duration times the GPUs of the gang, hours."""
    micro_batch: Whole | None = None
    """Sequences per GPU at once, as chosen."""
    zero_stage: Whole | None = None
    """Stage of ZeRO, as chosen."""


class Metric(ApiModel):
    """A figure that a user's own script reported."""

    name: Word
    """Its name."""
    value: Word
    """As text, as Kubeflow's progress protocol has it."""


class ProgressStatus(ApiModel):
    """Of the stage at work; written every 15 s at most."""

    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Progress of the whole run, by planned time."""
    display: Annotated[str, Field(max_length=8)] | None = None
    """percent as the column shows it: 46%."""
    eta: Annotated[str, Field(max_length=16)] | None = None
    """Time left as people say it: 3h20m. No date, since kubectl prints dates to come as <invalid>."""
    step: Whole | None = None
    """Optimiser step."""
    epoch: float | None = None
    """Passes over the training rows."""
    loss: float | None = None
    """Training loss, nats per token, mean of the last 20 steps; 4 decimals."""
    validation_loss: float | None = None
    """Newest validation loss, nats per token."""
    learning_rate: float | None = None
    """Learning rate of this step."""
    tokens_per_second: Whole | None = None
    """Tokens per second over all GPUs."""
    metrics: Annotated[list[Metric], Field(max_length=32)] | None = None
    """What a user's own script reported besides."""
    time: Time | None = None
    """When this was reported."""


class DataStatus(ApiModel):
    """What became of the rows."""

    fingerprint: Annotated[str, Field(max_length=80)] | None = None
    """Hash of the prepared rows."""
    rows_in: Whole | None = None
    """Exchanges read."""
    rows_kept: Whole | None = None
    """Exchanges left."""
    dropped: Annotated[dict[Word, Whole], Field(max_length=32)] | None = None
    """Exchanges dropped, by reason."""
    violations: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=16)] | None = None
    """Limits of the audit that are not met."""


class CheckpointStatus(ApiModel):
    """The newest complete checkpoint."""

    step: Whole
    """Optimiser step."""
    time: Time
    """When it was complete."""
    uri: Sentence
    """Its place, which can be given to training.resumeFrom."""


class EvaluationStatus(ApiModel):
    """One candidate on the validation rows."""

    step: Whole
    """Optimiser step."""
    loss: float | None = None
    """Nats per token."""
    perplexity: float | None = None
    """exp(loss)."""
    bleu: float | None = None
    """0 to 1; of kept candidates."""
    rouge_l: Annotated[float | None, Field(alias="rougeL")] = None
    """0 to 1; of kept candidates."""


class BestStatus(ApiModel):
    """The winner on the validation rows; while training, the best so far."""

    step: Whole
    """Optimiser step."""
    loss: float | None = None
    """Nats per token."""
    perplexity: float | None = None
    """exp(loss)."""
    uri: Sentence | None = None
    """Place of its weights."""


class ResultStatus(ApiModel):
    """The winner on the test rows: what gates read."""

    loss: float | None = None
    """Nats per token."""
    perplexity: float | None = None
    """exp(loss)."""
    bleu: float | None = None
    """0 to 1."""
    rouge1: float | None = None
    """0 to 1."""
    rouge2: float | None = None
    """0 to 1."""
    rouge_l: Annotated[float | None, Field(alias="rougeL")] = None
    """0 to 1."""
    probes: float | None = None
    """Share of the probes that are met."""


class OutputStatus(ApiModel):
    """The result."""

    uri: Sentence
    """Where it lies."""
    digest: Annotated[str, Field(max_length=80)] | None = None
    """Hash of the manifest of its files."""


class Failure(ApiModel):
    """Why the run failed, and what to do."""

    reason: Word
    """OutOfMemory, GpuOutOfMemory, RankCrashed, BadInput, …"""
    message: Sentence
    """What happened."""
    hint: Annotated[str, Field(max_length=512)] | None = None
    """What to do."""
    stage: StageName | None = None
    """Stage that failed."""
    attempt: Whole | None = None
    """Attempt that failed."""
    rank: Whole | None = None
    """Rank of the process that failed."""
    node: Annotated[str, Field(max_length=253)] | None = None
    """Node on which it failed."""
    step: Whole | None = None
    """Optimiser step at which it failed."""


class ResourceTime(ApiModel):
    """What was used."""

    gpu_seconds: Whole | None = None
    """GPUs held times seconds."""
    gpu_seconds_idle: Whole | None = None
    """Of these, without a step."""


class Status(ApiModel):
    """What the operator saw and did. It reads nothing here to decide what it can observe."""

    observed_generation: Whole | None = None
    """Generation of the spec that this speaks of."""
    phase: Phase | None = None
    """Pending, Queued, Preparing, Training, Evaluating, Exporting, Suspended, Complete or Failed; for people: programs
    read conditions."""
    stage: Annotated[str, Field(max_length=16)] | None = None
    """The furthest stage at work."""
    reason: Word | None = None
    """One word: why it failed or waits (GpuOutOfMemory, WaitingForQuota, Unschedulable); absent when all is well."""
    message: Sentence | None = None
    """What goes on, or why not and what to do, in one sentence."""
    gpus: Whole | None = None
    """GPUs held now; 0 until the gang starts."""
    conditions: Annotated[list[Condition], *_CONDITIONS] | None = None
    """For programs and kubectl wait: Suspended, Complete, Failed."""
    stages: StagesStatus | None = None
    """State of each stage."""
    plan: PlanStatus | None = None
    """Estimates, made before anything is spent."""
    progress: ProgressStatus | None = None
    """Progress of the stage at work."""
    data: DataStatus | None = None
    """What became of the rows."""
    checkpoint: CheckpointStatus | None = None
    """The newest complete checkpoint."""
    evaluations: Annotated[list[EvaluationStatus], Field(max_length=32)] | None = None
    """Candidates on the validation rows: the newest 32."""
    best: BestStatus | None = None
    """The winner on the validation rows; while training, the best so far."""
    result: ResultStatus | None = None
    """The winner on the test rows: what gates read."""
    output: OutputStatus | None = None
    """Where the result is."""
    failure: Failure | None = None
    """Why the run failed and what to do; also set after a retry that was charged."""
    resource_time: ResourceTime | None = None
    """GPU time that was used."""
    start_time: Time | None = None
    """When the run first started."""
    completion_time: Time | None = None
    """When the run ended."""
