"""Changes of runs: what may change at any time, while the run is suspended, and never."""

from __future__ import annotations

from tests.controlplane.crd.specs import Change, sources, uri

_IS_FIXED = "cannot change (only cluster, checkpoint, suspend, activeDeadlineSeconds, ttlSecondsAfterFinished and"
_SUSPENDED = "suspend: true, cluster: {nodes: 2, labels: {a: b}, env: [{name: A, value: a}, {name: B, value: b}]}"
_RUNNING = "cluster: {nodes: 2, workspace: {storage: 1Gi}}, training: {epochs: 3}"
_WHILE = "can change only while the run is suspended: set suspend: true first"
_GATED = "evaluation: {gates: [{metric: loss, max: 3}, {metric: bleu, min: 0.1}]}"

CHANGES = (
    Change("", "suspend: true"),
    Change("suspend: true", "suspend: null"),
    Change("suspend: true", "suspend: false"),
    Change("", "checkpoint: {interval: 5m, keep: 9}"),
    Change("checkpoint: {keep: 9}", "checkpoint: null"),
    Change("", "activeDeadlineSeconds: 60, ttlSecondsAfterFinished: 60, backoffLimit: 0"),
    Change("activeDeadlineSeconds: 60, backoffLimit: 9", "activeDeadlineSeconds: null, backoffLimit: null"),
    Change(_SUSPENDED, "cluster: {nodes: 4, gpusPerNode: 8, microBatch: 2}"),
    Change(_SUSPENDED, "cluster: {nodes: 4}, suspend: null"),
    Change(_SUSPENDED, "cluster: null"),
    Change(_SUSPENDED, "cluster: {labels: {a: null, c: d}}"),
    Change(_RUNNING, "cluster: {nodes: 2}, suspend: true"),
    Change(_SUSPENDED, "cluster: {env: [{name: B, value: b}, {name: A, value: a}]}, suspend: false"),
    Change(_SUSPENDED.replace("true", "false"), "cluster: {env: [{name: B, value: b}, {name: A, value: a}]}"),
    Change(_GATED, "evaluation: {gates: [{metric: bleu, min: 0.1}, {metric: loss, max: 3}]}"),
    Change("", "goal: Evaluate", "goal", _IS_FIXED),
    Change("", "goal: Train", "goal", _IS_FIXED),
    Change("goal: Train", "goal: null", "goal", _IS_FIXED),
    Change("", "model: {from: s3://models/other/}", "model", _IS_FIXED),
    Change("", "model: {systemPrompt: You are brief.}", "model", _IS_FIXED),
    Change("", uri("s3://corpus/other"), "data", _IS_FIXED),
    Change("", "data: {split: {test: 0.01}}", "data", _IS_FIXED),
    Change(sources("weight: 1", "weight: 2"), sources("weight: 2", "weight: 1"), "data", _IS_FIXED),
    Change("", "vectorStore: {enabled: false}", "vectorStore", _IS_FIXED),
    Change("", "training: {epochs: 4}", "training", _IS_FIXED),
    Change(_RUNNING, "training: {epochs: 4}", "training", _IS_FIXED),
    Change(_RUNNING, "training: null", "training", _IS_FIXED),
    Change(_SUSPENDED, "training: {epochs: 4}", "training", _IS_FIXED),
    Change(_GATED, "evaluation: {gates: [{metric: loss, max: 2}, {metric: bleu, min: 0.1}]}", "evaluation", _IS_FIXED),
    Change("", "output: {uri: s3://models/other}", "output", _IS_FIXED),
    Change("", "output: null", "output", _IS_FIXED),
    Change(_RUNNING, "cluster: {nodes: 4}", "cluster", _WHILE),
    Change(_RUNNING, "cluster: {nodes: 4}, suspend: true", "cluster", _WHILE),
    Change("suspend: false", "cluster: {gpusPerNode: 8}", "cluster", _WHILE),
    Change(_RUNNING, "cluster: {labels: {a: b}}", "cluster", _WHILE),
    Change(
        _SUSPENDED,
        "cluster: {workspace: {claimName: a}}",
        "cluster.workspace",
        "cannot change: finished stages are in it",
    ),
    Change(f"{_RUNNING}, suspend: true", "cluster: {workspace: {storage: 2Gi}}", "cluster.workspace", "cannot change"),
    Change(f"{_RUNNING}, suspend: true", "cluster: null", "cluster.workspace", "cannot change: finished stages"),
    Change(_SUSPENDED, "cluster: {nodes: 0}", "cluster.nodes", "should be greater than or equal to 1"),
    Change("", "checkpoint: {every: 5}", "checkpoint.every", 'unknown field "spec.checkpoint.every"'),
)
