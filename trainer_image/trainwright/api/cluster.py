"""`spec.cluster`: where a run works. One machine ignores it; no stage's result depends on it."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.api.rules import ApiModel, Rule, count, has, keyed
from trainwright.api.scalars import (
    NO_BLANK,
    Annotations,
    Duration,
    ImageRef,
    Labels,
    LabelValue,
    ObjectName,
    OutputUri,
    Quantity,
    ResourceName,
    Seconds,
    WebUrl,
    text_like,
)

# TOKENIZERS_PARALLELISM is no secret.
_SECRET_NAME = "TOKEN($|_)|SECRET|PASSWORD|API_?KEY"
_RESERVED = ("PET_", "KUBEFLOW_TRAINER_", "TRAINWRIGHT_")


class Ref(ApiModel):
    """An object in the run's own namespace."""

    name: ObjectName
    """Its name."""


class SecretKey(ApiModel):
    """A key of a Secret in the run's own namespace."""

    name: ObjectName
    """The Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Its key."""


class Toleration(ApiModel):
    """As in a pod."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Key of the taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """Absent: Equal."""
    value: LabelValue | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Absent: all effects."""
    toleration_seconds: Seconds | None = None
    """For NoExecute, seconds."""


class Resources(ApiModel):
    """Of one pod. Request and limit of memory and of ephemeral storage are equal; cpu is a request."""

    cpu: Quantity | None = None
    """Cores, as in 8 or 500m."""
    memory: Quantity | None = None
    """Memory, as in 64Gi."""
    ephemeral_storage: Quantity | None = None
    """Room on the node's disk, as in 50Gi."""


class StageSettings(ApiModel):
    """Where one stage works, over what holds for all."""

    shards: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Pods that share the partitions (which ingest makes from the data alone), for ingest, prepare, tokenize, index
    and evaluate; absent: the plan's."""
    gpus: Annotated[int, Field(ge=0, le=16)] | None = None
    """GPUs per pod, for prepare, index and evaluate; absent: 0."""
    resources: Annotated[Resources, Field(default_factory=Resources)]
    """Of each pod; absent: the plan's."""
    node_selector: Labels = {}
    """Instead of cluster.nodeSelector."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Instead of cluster.tolerations."""


Settings = Annotated[StageSettings, Field(default_factory=StageSettings)]


class Stages(ApiModel):
    """One entry per stage that needs other settings than what holds for all."""

    weights: Settings
    """Fetches the model."""
    ingest: Settings
    """Reads the sources."""
    prepare: Settings
    """Prepares rows."""
    tokenize: Settings
    """Makes tokens."""
    index: Settings
    """Makes embeddings."""
    train: Settings
    """Trains."""
    evaluate: Settings
    """Judges candidates."""
    export: Settings
    """Verifies and delivers the winner; for PrepareData the rows."""
    report: Settings
    """Makes report.html and metrics.json."""


class Workspace(ApiModel):
    """Where stages meet. Absent: a claim of the run's own, sized by the plan, gone with its owners. A claim named
    here or a uri outlives the run and is reused from."""

    claim_name: ObjectName | None = None
    """A ReadWriteMany claim; later runs reuse the finished stages in it."""
    uri: OutputUri | None = None
    """A prefix of an object store; later runs reuse the finished stages in it."""
    storage: Quantity | None = None
    """Size of the run's own claim, as in 500Gi; absent: the plan's."""
    storage_class_name: ObjectName | None = None
    """Class of the run's own claim; absent: the cluster's default."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="workspace-one",
            cel="[has(self.claimName), has(self.uri), has(self.storage) || has(self.storageClassName)]"
            ".filter(x, x).size() <= 1",
            holds=lambda s: count(s, "claimName", "uri") + (count(s, "storage", "storageClassName") > 0) <= 1,
            message="give one of claimName, uri, or storage with storageClassName",
        ),
        Rule(
            id="workspace-uri",
            cel="!has(self.uri) || !self.uri.startsWith('pvc://')",
            holds=lambda s: not has(s, "uri") or not s["uri"].startswith("pvc://"),
            message="write claimName instead of a pvc:// uri",
            field="uri",
        ),
    )


class Weaviate(ApiModel):
    """The run's own Weaviate."""

    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    """Pods of Weaviate."""
    storage: Quantity | None = None
    """Size of each pod's claim, as in 50Gi; absent: the plan's."""
    storage_class_name: ObjectName | None = None
    """Class of its claims; absent: the cluster's default."""
    keep_serving: bool = False
    """Keeps it up after the run; otherwise it is scaled to 0."""
    retention: Literal["Delete", "Retain"] = "Delete"
    """What becomes of its claims when the run is deleted."""


class Credential(ApiModel):
    """How to reach the URIs that begin with a prefix; the longest prefix wins. On one machine your own environment
    does this."""

    prefix: Annotated[
        str,
        *text_like(
            "prefix",
            rf"(hf|s3|gs|az|https)://{NO_BLANK}*",
            "is no prefix of a URI: hf://, s3://, gs://, az:// or https://",
            1024,
            kind="prefix of a URI",
        ),
    ]
    """Beginning of the URIs: hf://, s3://, s3://corpus …"""
    secret_ref: Ref | None = None
    """Secret whose keys become variables: HF_TOKEN; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; …"""
    endpoint: WebUrl | None = None
    """Endpoint of an S3 store; absent: the provider's."""
    ca_ref: Ref | None = None
    """ConfigMap with the key ca.crt; absent: the usual authorities."""


class EnvVar(ApiModel):
    """A variable of every pod of the run."""

    name: Annotated[
        str,
        *text_like(
            "variable", r"[A-Za-z_][A-Za-z0-9_]*", "is no name of a variable: letters, digits and '_'", 256, kind="name"
        ),
    ]
    """Its name; PET_*, KUBEFLOW_TRAINER_* and TRAINWRIGHT_* are ours."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """Plain value; never a secret."""
    secret_key_ref: SecretKey | None = None
    """Value from a Secret."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="env-one",
            cel="has(self.value) != has(self.secretKeyRef)",
            holds=lambda s: has(s, "value") != has(s, "secretKeyRef"),
            message="give exactly one of value, secretKeyRef",
        ),
        Rule(
            id="env-reserved",
            cel="!self.name.matches('^(PET_|KUBEFLOW_TRAINER_|TRAINWRIGHT_)')",
            holds=lambda s: not s["name"].startswith(_RESERVED),
            message="PET_*, KUBEFLOW_TRAINER_* and TRAINWRIGHT_* are set by the operator",
            field="name",
        ),
        Rule(
            id="env-no-secret",
            cel=f"!has(self.value) || !self.name.matches('{_SECRET_NAME}')",
            holds=lambda s: not has(s, "value") or not re.search(_SECRET_NAME, s["name"]),
            message="looks like a secret: use secretKeyRef",
            field="value",
        ),
    )


class Cluster(ApiModel):
    """Where the run works. Ignored on one machine; may change while the run is suspended."""

    nodes: Annotated[int, Field(ge=1, le=2048)] = 1
    """Pods of the training gang, one per node."""
    gpus_per_node: Annotated[int, Field(ge=0, le=16)] = 0
    """GPUs of each node; 0 trains on CPU."""
    gpu_resource: ResourceName = "nvidia.com/gpu"
    """Name of the extended resource that a GPU is."""
    network: Literal["tcp", "efa", "infiniband", "gke"] = "tcp"
    """How gradients travel. All but tcp are manifests that no hardware here has tried; infiniband needs a namespace
    exempt from Pod Security restricted."""
    micro_batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Sequences per GPU at once; absent: the plan's, halved once after out-of-memory."""
    zero_stage: Annotated[int, Field(ge=0, le=3)] | None = None
    """Stage of DeepSpeed's ZeRO (arXiv 1910.02054); absent: the smallest that fits."""
    activation_checkpointing: bool | None = None
    """Recomputes activations instead of keeping them; absent: only if needed."""
    stages: Annotated[Stages, Field(default_factory=Stages)]
    """Settings of single stages, over what holds for all."""
    workspace: Annotated[Workspace, Field(default_factory=Workspace)]
    """Where stages leave their outputs for each other."""
    weaviate: Annotated[Weaviate, Field(default_factory=Weaviate)]
    """The run's own Weaviate."""
    credentials: Annotated[list[Credential], Field(max_length=16), *keyed("prefix")] = []
    """Secrets, endpoints and authorities by prefix of the URI; empty: the pods' workload identity."""
    queue_name: LabelValue | None = None
    """Kueue's LocalQueue, the label kueue.x-k8s.io/queue-name of each Job; absent: the run's own label of that
    name."""
    priority_class_name: ObjectName | None = None
    """Priority class of every pod."""
    node_selector: Labels = {}
    """Labels that the nodes of all pods must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Taints that all pods tolerate."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of every pod, for workload identity; absent: one without rights, made for the run."""
    image: ImageRef | None = None
    """The trainer image from a registry of yours; absent: the operator's."""
    image_pull_secrets: Annotated[list[Ref], Field(max_length=8)] = []
    """Secrets to pull image and training.image with."""
    labels: Labels = {}
    """Labels that are added to every pod."""
    annotations: Annotations = {}
    """Annotations that are added to every pod."""
    env: Annotated[list[EnvVar], Field(max_length=64), *keyed("name")] = []
    """Variables of every pod (NCCL_*, proxies)."""
    stall_timeout: Duration | None = None
    """The gang is restarted after no step for so long; absent: 10 times the median step, at least 5 minutes, and
    off with training.command. A rank without heartbeat is found in 30 s."""
    runtime_class_name: ObjectName | None = None
    """Runtime class of every pod."""
    scheduler_name: ObjectName | None = None
    """Scheduler of every pod; absent: the cluster's."""
