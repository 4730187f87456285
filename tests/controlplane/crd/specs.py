"""What a TrainingRun may say: specs, names and changes, each with its verdict. The API server and `trainwright validate
--cluster` are both held to it.

A row is YAML that is merged into `BASE` (null takes a field away). A refused row also has the field that is to be named
and a piece of what the API server says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from trainwright.api import API_VERSION, KIND
from trainwright.api.yaml_loader import read_documents


class Refused(NamedTuple):
    """A spec that is refused: the YAML, the field below `spec`, a piece of the API server's sentence."""

    text: str
    field: str
    says: str


class Change(NamedTuple):
    """A change of a run: its spec before, the change, and if it is refused the field and a piece of the sentence."""

    before: str
    text: str
    field: str = ""
    says: str = ""


BASE = """
model: {from: s3://models/llama/}
data: {sources: [{uri: s3://corpus/*.parquet}]}
output: {uri: s3://models/run}
"""
SCRATCH = "model: {from: null, scratch: {preset: llama-tiny}, tokenizer: {train: {vocabularySize: 4096}}}"
PREPARE = "goal: PrepareData, model: null"


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as in a JSON merge patch."""
    kept = {name: value for name, value in base.items() if name not in change}
    for name, value in change.items():
        if isinstance(value, Mapping):
            inside = base.get(name)
            kept[name] = merged(inside if isinstance(inside, Mapping) else {}, value)
        elif value is not None:
            kept[name] = value
    return kept


def read(text: str) -> dict[str, Any]:
    """Read a row, with or without braces around it, as `trainwright validate` reads a file."""
    documents = read_documents(text if "\n" in text else f"{{{text}}}")
    assert len(documents) <= 1
    assert not any(document.faults for document in documents), text
    return documents[0].value if documents else {}


def spec_of(text: str) -> dict[str, Any]:
    """The whole spec of a row."""
    return merged(read(BASE), read(text))


def run_of(spec: Any, **metadata: Any) -> dict[str, Any]:
    """A TrainingRun."""
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "run", **metadata}, "spec": spec}


def sources(*texts: str) -> str:
    """Write sources that have these members besides a URI."""
    return f"data: {{sources: [{', '.join(f'{{uri: s3://corpus/a, {text}}}' for text in texts)}]}}"


def uri(value: str) -> str:
    """Write a source with this URI, as inside double quotes."""
    return f'data: {{sources: [{{uri: "{value}"}}]}}'


ACCEPTED = (
    "",
    "goal: Train",
    SCRATCH,
    "model: {from: null, scratch: {config: hf://org/name/config.json}, tokenizer: {from: s3://models/t/}}",
    "model: {chatTemplate: chatml, systemPrompt: You are helpful.}",
    "model: {tokenizer: {train: {vocabularySize: 300}}}",
    uri("hf://datasets/org/name@main/data/*.parquet"),
    uri("hf://org/name"),
    uri("gs://bucket/{a,b}.jsonl.gz"),
    uri("az://container/path"),
    uri("https://example.com/rows.csv?part=1"),
    uri("pvc://claim/rows.jsonl"),
    uri("pkg://chitchat_dataset/dataset.json"),
    uri("s3://b/" + "p" * 1017),
    uri("s3://bucket/漢字.jsonl"),
    f"data: {{sources: [{', '.join(['{uri: s3://corpus/a}'] * 64)}]}}",
    sources("columns: {text: body}", "columns: {prompt: q, response: a, system: '{p} of {q}', history: h}"),
    sources("columns: {messages: m, role: from, content: value, roles: {agent: assistant, client: user}}"),
    sources("columns: {conversation: c, role: r, content: t, order: o, group: g, rating: s, keep: [a, b]}"),
    sources("weight: 100, maxRows: 1, license: MIT, use: Test, format: jsonl"),
    sources("weight: 0.001"),
    "data: {onBadRows: Fail, maxBadShare: 0}",
    "data: {split: {validation: 0.5, test: 0.5}}",
    "data: {split: {validation: 0.99}}",
    "data: {split: {test: 0}}",
    "data: {prepare: {language: {keep: [en, de, und], translateTo: en, translator: hf://org/nllb}}}",
    "data: {prepare: {clean: {emoji: Remove}, relevance: {incomplete: Drop, keywords: [spam], topics: [sport]}}}",
    "data: {prepare: {offensive: {action: Mask, threshold: 1}, personalData: {action: NoTrain, kinds: [url]}}}",
    "data: {prepare: {deduplicate: {near: 0, semantic: 0.95}, rareWords: {enabled: true, replacement: '?'}}}",
    "data: {prepare: {balance: {enabled: true, by: source, synthesize: {model: hf://org/chat, minShare: 0.05}}}}",
    "data: {audit: {onViolation: Fail, maxTopicShare: 0.3, minRows: 1000, decisions: s3://corpus/reviewed.csv}}",
    "vectorStore: {enabled: false}",
    "vectorStore: {external: {url: 'https://weaviate:443', collection: Chat_1, secretRef: {name: weaviate}}}",
    "training: {}",
    "training: {objective: Pretrain, epochs: 0.1, schedule: Constant, warmup: 0, weightDecay: 0}",
    "training: {maxSteps: 1, learningRate: 1, adamBetas: [0, 0.999], clipNorm: 0.5}",
    "training: {epochs: 1e1}",
    "training: {batchTokens: 2048, sequenceLength: 2048, truncation: KeepEnd, packing: false, precision: fp32}",
    "training: {lora: {}}",
    "training: {lora: {rank: 1024, alpha: 0.5, dropout: 0.99, targets: [q_proj]}}",
    "training: {seed: 4294967295, earlyStopping: {patience: 1, minDelta: 100}}",
    "training: {resumeFrom: pvc://claim/checkpoints/step-1}",
    "training: {command: [train.py, --epochs, '3'], image: registry/me/trainer@sha256:0, code: s3://code/}",
    "training: {command: ['']}",
    "evaluation: {metrics: [loss], every: 1, keep: 100, maxRows: 1, generate: {rows: 1, maxNewTokens: 8192}}",
    "evaluation: {gates: [{metric: bleu, min: 0.18}, {metric: perplexity, max: 9.5}, {metric: probes, min: 1}]}",
    "evaluation: {gates: [{metric: loss, min: -1, max: 1e9}]}",
    "evaluation: {probes: [{prompt: 'Is Earth a star?', contains: planet}]}",
    "output: null",
    "cluster: {}",
    "cluster: {nodes: 2048, gpusPerNode: 16, gpuResource: amd.com/gpu, network: gke, microBatch: 1, zeroStage: 3}",
    "cluster: {stages: {prepare: {shards: 16, gpus: 0, resources: {cpu: 500m, memory: 64Gi}}}}",
    "cluster: {stages: {train: {resources: {cpu: 8, memory: 9223372036854775807, ephemeralStorage: 1.5Ti}}}}",
    "cluster: {stages: {index: {nodeSelector: {pool: cpu}, tolerations: [{operator: Exists}]}, report: {}}}",
    "cluster: {workspace: {}}",
    "cluster: {workspace: {claimName: shared.claim}}",
    "cluster: {workspace: {uri: s3://scratch/tw}}",
    "cluster: {workspace: {storage: 500Gi, storageClassName: cephfs}}",
    "cluster: {weaviate: {replicas: 3, storage: 50Gi, keepServing: true, retention: Retain}}",
    "cluster: {credentials: [{prefix: s3://, secretRef: {name: minio}, endpoint: 'https://minio:9000'}, {prefix: hf://}]}",
    "cluster: {queueName: team-a, priorityClassName: low, serviceAccountName: trainer, schedulerName: mine}",
    "cluster: {queueName: ''}",
    "cluster: {labels: {cost-center: nlp, example.com/a_b.C: ''}, annotations: {example.com/why: any text at all}}",
    "cluster: {tolerations: [{key: spot, operator: Equal, value: '1', effect: NoExecute, tolerationSeconds: 0}]}",
    "cluster: {env: [{name: NCCL_DEBUG, value: WARN}, {name: HF_TOKEN, secretKeyRef: {name: hf, key: token}}]}",
    "cluster: {env: [{name: TOKENIZERS_PARALLELISM, value: ''}]}",
    "cluster: {image: 'registry:5000/a/b:1.0', imagePullSecrets: [{name: registry}], stallTimeout: 1h30m}",
    "checkpoint: {interval: 90s, keep: 100}",
    "suspend: true, activeDeadlineSeconds: 1, ttlSecondsAfterFinished: 0, backoffLimit: 0",
    "output: null, ttlSecondsAfterFinished: 60, cluster: {workspace: {claimName: shared}}",
    PREPARE,
    f"{PREPARE}, output: null, cluster: {{workspace: {{uri: s3://scratch/tw}}}}",
    "goal: Evaluate, training: {sequenceLength: 32, truncation: Fail, packing: true, precision: fp32}",
)

EMPTY = ("training:", "suspend:", "cluster: {labels: {a: }}", "evaluation: {gates: [{metric: loss, max: 1, min: }]}")
"""Below `BASE` as it is written, what only `trainwright validate` refuses: a name without a value, which the API server
takes as absent."""

GOOD_NAMES = ("a", "run-2", "r2d2", "llama-3b", "b" * 40)
BAD_NAMES = (
    *("3b-chat", "2024-06-01", "llama-3.2-3b", "support.bot.v1", "a" * 41, "a" * 52, f"run-{'x' * 49}.y"),
    *("run-", "-run", "Run", "run_1", "run 1", "läuft", "run/1"),
)
