"""Specs that are refused, by kind of mistake."""

from __future__ import annotations

from tests.controlplane.crd.specs import PREPARE, SCRATCH, Refused, sources, uri

_NO_URI = "is no URI we read: write hf://ORG/NAME[@REVISION][/PATH], s3://BUCKET/PATH"
_LOCAL = "is a path on one machine, which pods cannot see"
_LABEL_KEY = "is no label key: [PREFIX/]NAME of letters, digits, '-', '_' and '.'"
_SOURCE = "data.sources[0]"
_COLUMNS = "data.sources[0].columns"
_TRAIN = "cluster.stages.train"

UNKNOWN = (
    Refused("trainig: {}", "trainig", 'unknown field "spec.trainig"'),
    Refused("nodes: 2", "nodes", 'unknown field "spec.nodes"'),
    Refused("training: {epoch: 3}", "training.epoch", 'unknown field "spec.training.epoch"'),
    Refused("training: {learning_rate: 1e-3}", "training.learning_rate", "unknown field"),
    Refused(sources("columns: {answer: a}"), f"{_COLUMNS}.answer", "unknown field"),
    Refused("evaluation: {gates: [{metric: loss, atMost: 3}]}", "evaluation.gates[0].atMost", "unknown field"),
    Refused("cluster: {stages: {deploy: {}}}", "cluster.stages.deploy", "unknown field"),
    Refused("cluster: {env: [{name: A, valueFrom: {}}]}", "cluster.env[0].valueFrom", "unknown field"),
    Refused(
        "cluster: {env: [{name: A, secretKeyRef: {name: a, key: b, namespace: c}}]}",
        "cluster.env[0].secretKeyRef.namespace",
        "unknown field",
    ),
)
TYPES = (
    Refused("training: 3", "training", "must be of type object"),
    Refused("training: []", "training", "must be of type object"),
    Refused("data: {sources: s3://corpus/a}", "data.sources", "must be of type array"),
    Refused("data: {sources: [s3://corpus/a]}", "data.sources[0]", "must be of type object"),
    Refused("training: {epochs: three}", "training.epochs", "must be of type number"),
    Refused("training: {maxSteps: 1.5}", "training.maxSteps", "must be of type integer"),
    Refused("training: {seed: '42'}", "training.seed", "must be of type integer"),
    Refused("training: {packing: 1}", "training.packing", "must be of type boolean"),
    Refused("suspend: 'true'", "suspend", "must be of type boolean"),
    Refused("training: {command: train.py}", "training.command", "must be of type array"),
    Refused("training: {command: [train.py, 3]}", "training.command[1]", "must be of type string"),
    Refused("output: {uri: 3}", "output.uri", "must be of type string"),
    Refused("output: s3://models/run", "output", "must be of type object"),
    Refused("goal: yes", "goal", "must be of type string"),
    Refused("cluster: {nodeSelector: [gpu]}", "cluster.nodeSelector", "must be of type object"),
    Refused("cluster: {nodeSelector: {spot: true}}", "cluster.nodeSelector.spot", "must be of type string"),
    Refused(
        "cluster: {stages: {train: {resources: {cpu: 1.5}}}}",
        f"{_TRAIN}.resources.cpu",
        "must be of type integer,string",
    ),
    Refused(
        "cluster: {stages: {train: {resources: {cpu: true}}}}",
        f"{_TRAIN}.resources.cpu",
        "must be of type integer,string",
    ),
    Refused(
        "cluster: {stages: {train: {resources: {cpu: 9223372036854775808}}}}",
        f"{_TRAIN}.resources.cpu",
        "must be of type integer,string",
    ),
)
MISSING = (
    Refused("model: null", "model", "Required value: model is required unless goal is PrepareData"),
    Refused("data: null", "data", "Required value"),
    Refused("data: {sources: null}", "data.sources", "Required value"),
    Refused("data: {sources: [{weight: 1}]}", f"{_SOURCE}.uri", "Required value"),
    Refused("output: {uri: null}", "output.uri", "Required value"),
    Refused("model: {tokenizer: {train: {}}}", "model.tokenizer.train.vocabularySize", "Required value"),
    Refused("evaluation: {gates: [{max: 3}]}", "evaluation.gates[0].metric", "Required value"),
    Refused("evaluation: {probes: [{prompt: a}]}", "evaluation.probes[0].contains", "Required value"),
    Refused("vectorStore: {external: {collection: A}}", "vectorStore.external.url", "Required value"),
    Refused("cluster: {imagePullSecrets: [{}]}", "cluster.imagePullSecrets[0].name", "Required value"),
    Refused(
        "cluster: {env: [{name: A, secretKeyRef: {name: a}}]}", "cluster.env[0].secretKeyRef.key", "Required value"
    ),
    Refused("cluster: {credentials: [{secretRef: {name: a}}]}", "cluster.credentials[0].prefix", "Required value"),
    Refused(
        "data: {prepare: {balance: {synthesize: {minShare: 0.1}}}}",
        "data.prepare.balance.synthesize.model",
        "Required value",
    ),
)
ENUMS = (
    Refused("goal: train", "goal", 'supported values: "Train", "PrepareData", "Evaluate"'),
    Refused("training: {schedule: cosine}", "training.schedule", 'supported values: "Cosine", "Linear", "Constant"'),
    Refused("training: {precision: fp16}", "training.precision", 'supported values: "bf16", "fp32"'),
    Refused("training: {objective: SFT}", "training.objective", "Unsupported value"),
    Refused("training: {truncation: KeepStart}", "training.truncation", "Unsupported value"),
    Refused("model: {chatTemplate: alpaca}", "model.chatTemplate", "Unsupported value"),
    Refused(
        "model: {from: null, scratch: {preset: gpt2}, tokenizer: {from: s3://t/}}",
        "model.scratch.preset",
        "Unsupported value",
    ),
    Refused(sources("format: tsv"), f"{_SOURCE}.format", "Unsupported value"),
    Refused(sources("use: Dev"), f"{_SOURCE}.use", "Unsupported value"),
    Refused(sources("columns: {messages: m, roles: {agent: bot}}"), f"{_COLUMNS}.roles.agent", "Unsupported value"),
    Refused("data: {onBadRows: Ignore}", "data.onBadRows", "Unsupported value"),
    Refused("data: {prepare: {clean: {emoji: Drop}}}", "data.prepare.clean.emoji", "Unsupported value"),
    Refused("data: {prepare: {offensive: {action: Replace}}}", "data.prepare.offensive.action", "Unsupported value"),
    Refused("data: {prepare: {personalData: {action: Mask}}}", "data.prepare.personalData.action", "Unsupported value"),
    Refused(
        "data: {prepare: {personalData: {kinds: [email, name]}}}",
        "data.prepare.personalData.kinds[1]",
        "Unsupported value",
    ),
    Refused("data: {audit: {onViolation: Ignore}}", "data.audit.onViolation", "Unsupported value"),
    Refused("evaluation: {metrics: [accuracy]}", "evaluation.metrics[0]", "Unsupported value"),
    Refused("evaluation: {gates: [{metric: rouge, min: 0.1}]}", "evaluation.gates[0].metric", "Unsupported value"),
    Refused("cluster: {network: roce}", "cluster.network", "Unsupported value"),
    Refused("cluster: {weaviate: {retention: Keep}}", "cluster.weaviate.retention", "Unsupported value"),
    Refused("cluster: {tolerations: [{operator: In}]}", "cluster.tolerations[0].operator", "Unsupported value"),
    Refused("cluster: {tolerations: [{effect: Never}]}", "cluster.tolerations[0].effect", "Unsupported value"),
)
BOUNDS = (
    Refused("training: {epochs: 0}", "training.epochs", "should be greater than 0"),
    Refused("training: {epochs: 10001}", "training.epochs", "should be less than or equal to 10000"),
    Refused("training: {maxSteps: 0}", "training.maxSteps", "should be greater than or equal to 1"),
    Refused("training: {learningRate: 0}", "training.learningRate", "should be greater than 0"),
    Refused("training: {warmup: 0.9}", "training.warmup", "should be less than or equal to 0.5"),
    Refused("training: {weightDecay: -0.1}", "training.weightDecay", "should be greater than or equal to 0"),
    Refused("training: {adamBetas: [0.9]}", "training.adamBetas", "should have at least 2 items"),
    Refused("training: {adamBetas: [0.9, 0.95, 0.99]}", "training.adamBetas", "must have at most 2 items"),
    Refused("training: {adamBetas: [0.9, 1]}", "training.adamBetas[1]", "should be less than 1"),
    Refused("training: {seed: 4294967296}", "training.seed", "should be less than or equal to"),
    Refused("training: {sequenceLength: 31}", "training.sequenceLength", "should be greater than or equal to 32"),
    Refused("training: {lora: {rank: 0}}", "training.lora.rank", "should be greater than or equal to 1"),
    Refused("training: {lora: {dropout: 1}}", "training.lora.dropout", "should be less than 1"),
    Refused("training: {earlyStopping: {patience: 0}}", "training.earlyStopping.patience", "should be greater than"),
    Refused("training: {command: []}", "training.command", "should have at least 1 items"),
    Refused("model: {tokenizer: {train: {vocabularySize: 299}}}", "model.tokenizer.train.vocabularySize", "to 300"),
    Refused("model: {systemPrompt: ''}", "model.systemPrompt", "should be at least 1 chars long"),
    Refused(f"model: {{systemPrompt: {'é' * 8193}}}", "model.systemPrompt", "may not be more than 8192 bytes"),
    Refused("data: {sources: []}", "data.sources", "should have at least 1 items"),
    Refused(f"data: {{sources: [{', '.join(['{uri: s3://corpus/a}'] * 65)}]}}", "data.sources", "at most 64 items"),
    Refused(uri("s3://b/" + "p" * 1018), f"{_SOURCE}.uri", "may not be more than 1024 bytes"),
    Refused(sources("weight: 0"), f"{_SOURCE}.weight", "should be greater than 0"),
    Refused(sources("weight: 100.5"), f"{_SOURCE}.weight", "should be less than or equal to 100"),
    Refused(sources("maxRows: 0"), f"{_SOURCE}.maxRows", "should be greater than or equal to 1"),
    Refused(sources("columns: {text: ''}"), f"{_COLUMNS}.text", "should be at least 1 chars long"),
    Refused(
        sources(f"columns: {{messages: m, roles: {{{', '.join(f'r{n}: user' for n in range(17))}}}}}"),
        f"{_COLUMNS}.roles",
        "at most 16 items",
    ),
    Refused("data: {split: {test: 1.1}}", "data.split.test", "should be less than or equal to 1"),
    Refused("data: {maxBadShare: -0.01}", "data.maxBadShare", "should be greater than or equal to 0"),
    Refused("data: {prepare: {personalData: {kinds: []}}}", "data.prepare.personalData.kinds", "at least 1 items"),
    Refused("data: {prepare: {deduplicate: {near: 2}}}", "data.prepare.deduplicate.near", "less than or equal to 1"),
    Refused("data: {prepare: {language: {keep: [e]}}}", "data.prepare.language.keep[0]", "at least 2 chars long"),
    Refused("evaluation: {metrics: []}", "evaluation.metrics", "should have at least 1 items"),
    Refused("evaluation: {every: 0}", "evaluation.every", "should be greater than or equal to 1"),
    Refused("evaluation: {probes: [{prompt: a, contains: ''}]}", "evaluation.probes[0].contains", "at least 1 chars"),
    Refused("vectorStore: {external: {url: 'http://a', grpcPort: 65536}}", "vectorStore.external.grpcPort", "to 65535"),
    Refused("cluster: {nodes: 0}", "cluster.nodes", "should be greater than or equal to 1"),
    Refused("cluster: {nodes: 2049}", "cluster.nodes", "should be less than or equal to 2048"),
    Refused("cluster: {gpusPerNode: 17}", "cluster.gpusPerNode", "should be less than or equal to 16"),
    Refused("cluster: {zeroStage: 4}", "cluster.zeroStage", "should be less than or equal to 3"),
    Refused("cluster: {stages: {ingest: {shards: 0}}}", "cluster.stages.ingest.shards", "greater than or equal to 1"),
    Refused(
        f"cluster: {{labels: {{{', '.join(f'k{n}: v' for n in range(33))}}}}}", "cluster.labels", "at most 32 items"
    ),
    Refused("checkpoint: {keep: 0}", "checkpoint.keep", "should be greater than or equal to 1"),
    Refused("activeDeadlineSeconds: 0", "activeDeadlineSeconds", "should be greater than or equal to 1"),
    Refused("backoffLimit: -1", "backoffLimit", "should be greater than or equal to 0"),
)
TEXTS = (
    Refused("model: {from: meta-llama/Llama-3.2-3B}", "model.from", f"'meta-llama/Llama-3.2-3B' {_NO_URI}"),
    Refused("model: {from: ./model}", "model.from", f"'./model' {_LOCAL}"),
    Refused(uri(""), f"{_SOURCE}.uri", "should be at least 1 chars long"),
    Refused(uri("/rows.jsonl"), f"{_SOURCE}.uri", f"'/rows.jsonl' {_NO_URI}"),
    Refused(uri("ftp://host/rows"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("http://host/rows"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("s3://"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("s3:///key"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("S3://corpus/a"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("s3://corpus/a b"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("s3://corpus/a\\n"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("s3://corpus/a\\_b"), f"{_SOURCE}.uri", _NO_URI),
    Refused(uri("../rows"), f"{_SOURCE}.uri", _LOCAL),
    Refused(uri("file:///data/rows"), f"{_SOURCE}.uri", _LOCAL),
    Refused("output: {uri: hf://me/model}", "output.uri", "'hf://me/model' is no place we write to"),
    Refused("output: {uri: 'https://host/model'}", "output.uri", "is no place we write to"),
    Refused("output: {uri: ./model}", "output.uri", f"'./model' {_LOCAL}"),
    Refused("training: {resumeFrom: 'hf://me/model'}", "training.resumeFrom", "is no place we write to"),
    Refused("training: {command: [a], image: ':latest'}", "training.image", "is no image reference"),
    Refused(
        "data: {prepare: {language: {keep: [en, deutsch]}}}",
        "data.prepare.language.keep[1]",
        "'deutsch' is no language code",
    ),
    Refused("checkpoint: {interval: 10 min}", "checkpoint.interval", "'10 min' is no duration: write hours, minutes"),
    Refused("checkpoint: {interval: 30m1h}", "checkpoint.interval", "is no duration"),
    Refused("cluster: {stallTimeout: '600'}", "cluster.stallTimeout", "is no duration"),
    Refused(
        "cluster: {stages: {train: {resources: {memory: 64GB}}}}",
        f"{_TRAIN}.resources.memory",
        "'64GB' must be a quantity such as 8, 500m, 64Gi, 1.5Ti",
    ),
    Refused("cluster: {stages: {train: {resources: {cpu: -1}}}}", f"{_TRAIN}.resources.cpu", "'-1' must be a quantity"),
    Refused("cluster: {weaviate: {storage: ''}}", "cluster.weaviate.storage", "must be a quantity"),
    Refused("cluster: {gpuResource: gpu}", "cluster.gpuResource", "'gpu' is no name of an extended resource"),
    Refused(
        "cluster: {serviceAccountName: My_Account}", "cluster.serviceAccountName", "is no name of a Kubernetes object"
    ),
    Refused(
        "cluster: {workspace: {claimName: a..b}}", "cluster.workspace.claimName", "is no name of a Kubernetes object"
    ),
    Refused("cluster: {queueName: team a}", "cluster.queueName", "'team a' is no label value"),
    Refused("cluster: {nodeSelector: {pool: -gpu}}", "cluster.nodeSelector.pool", "'-gpu' is no label value"),
    Refused("cluster: {labels: {-x: a}}", "cluster.labels", _LABEL_KEY),
    Refused("cluster: {labels: {'': a}}", "cluster.labels", _LABEL_KEY),
    Refused(f"cluster: {{labels: {{{'k' * 64}: a}}}}", "cluster.labels", _LABEL_KEY),
    Refused(f"cluster: {{labels: {{{'.'.join(['k' * 60] * 6)}/k: a}}}}", "cluster.labels", _LABEL_KEY),
    Refused("cluster: {annotations: {a/b/c: a}}", "cluster.annotations", _LABEL_KEY),
    Refused("cluster: {stages: {index: {nodeSelector: {'a b': c}}}}", "cluster.stages.index.nodeSelector", _LABEL_KEY),
    Refused("cluster: {env: [{name: MY-VAR, value: a}]}", "cluster.env[0].name", "'MY-VAR' is no name of a variable"),
    Refused("cluster: {credentials: [{prefix: pvc://}]}", "cluster.credentials[0].prefix", "is no prefix of a URI"),
    Refused(
        "cluster: {credentials: [{prefix: s3://, endpoint: minio}]}", "cluster.credentials[0].endpoint", "is no URL"
    ),
    Refused("vectorStore: {external: {url: weaviate}}", "vectorStore.external.url", "'weaviate' is no URL"),
    Refused(
        "vectorStore: {external: {url: 'http://a', collection: chat}}",
        "vectorStore.external.collection",
        "'chat' is no name of a Weaviate collection",
    ),
    Refused(
        sources("columns: {messages: m, roles: {'': user}}"), f"{_COLUMNS}.roles", "a name has 1 to 128 characters"
    ),
)
RULES = (
    Refused("model: {from: null}", "model", "give exactly one of from (existing weights), scratch (random weights)"),
    Refused("model: {scratch: {preset: llama-tiny}}", "model", "give exactly one of from"),
    Refused("model: {from: null, scratch: {preset: llama-tiny}}", "model", "a model from scratch needs a tokenizer"),
    Refused(
        "model: {from: null, scratch: {}, tokenizer: {from: s3://t/}}", "model.scratch", "exactly one of preset, config"
    ),
    Refused("model: {tokenizer: {}}", "model.tokenizer", "give exactly one of from, train"),
    Refused(
        "model: {tokenizer: {from: s3://t/, train: {vocabularySize: 300}}}",
        "model.tokenizer",
        "exactly one of from, train",
    ),
    Refused(sources("columns: {}"), _COLUMNS, "give exactly one of text, prompt, messages, conversation"),
    Refused(sources("columns: {text: t, messages: m}"), _COLUMNS, "give exactly one of text, prompt"),
    Refused(sources("columns: {prompt: q}"), _COLUMNS, "prompt and response go together"),
    Refused(sources("columns: {conversation: c, role: r}"), _COLUMNS, "conversation needs role and content"),
    Refused(sources("weight: 1", "columns: {prompt: q}"), "data.sources[1].columns", "prompt and response go together"),
    Refused("data: {split: {validation: 0.6, test: 0.6}}", "data.split", "validation + test may be 1 at most"),
    Refused("data: {split: {validation: 1}}", "data.split", "validation + test may be 1 at most"),
    Refused(
        "data: {prepare: {language: {translateTo: en}}}",
        "data.prepare.language",
        "translateTo and translator go together",
    ),
    Refused("training: {epochs: 1, maxSteps: 2}", "training", "give epochs or maxSteps, not both"),
    Refused(
        "training: {batchTokens: 512, sequenceLength: 1024}", "training.batchTokens", "must hold at least one sequence"
    ),
    Refused("training: {image: a/b}", "training", "image and code belong to command, which is absent"),
    Refused("training: {command: [a], lora: {}}", "training", "lora belongs to our own loop"),
    Refused("evaluation: {gates: [{metric: bleu}]}", "evaluation.gates[0]", "give min, max or both"),
    Refused("evaluation: {gates: [{metric: bleu, min: 25}]}", "evaluation.gates[0]", "write 0.25, not 25"),
    Refused("evaluation: {gates: [{metric: probes, min: -0.1}]}", "evaluation.gates[0]", "go from 0 to 1"),
    Refused(
        "evaluation: {gates: [{metric: loss, max: 2}, {metric: loss, max: 3}]}",
        "evaluation.gates[1]",
        "Duplicate value",
    ),
    Refused(
        "cluster: {env: [{name: A, value: a}, {name: B, value: b}, {name: A, value: c}]}",
        "cluster.env[2]",
        "Duplicate value",
    ),
    Refused("cluster: {credentials: [{prefix: s3://}, {prefix: s3://}]}", "cluster.credentials[1]", "Duplicate value"),
    Refused(
        "cluster: {workspace: {claimName: a, uri: s3://b/c}}",
        "cluster.workspace",
        "give one of claimName, uri, or storage",
    ),
    Refused(
        "cluster: {workspace: {claimName: a, storage: 1Gi}}",
        "cluster.workspace",
        "give one of claimName, uri, or storage",
    ),
    Refused(
        "cluster: {workspace: {uri: pvc://b/c}}", "cluster.workspace.uri", "write claimName instead of a pvc:// uri"
    ),
    Refused("cluster: {env: [{name: A}]}", "cluster.env[0]", "give exactly one of value, secretKeyRef"),
    Refused("cluster: {env: [{name: PET_NNODES, value: '2'}]}", "cluster.env[0].name", "are set by the operator"),
    Refused("cluster: {env: [{name: TRAINWRIGHT_X, value: a}]}", "cluster.env[0].name", "are set by the operator"),
    Refused(
        "cluster: {env: [{name: HF_TOKEN, value: a}]}", "cluster.env[0].value", "looks like a secret: use secretKeyRef"
    ),
    Refused("cluster: {env: [{name: AWS_SECRET_ACCESS_KEY, value: a}]}", "cluster.env[0].value", "looks like a secret"),
    Refused(f"{PREPARE}, training: {{}}", "", "goal PrepareData has neither training nor evaluation"),
    Refused(f"{PREPARE}, evaluation: {{}}", "", "goal PrepareData has neither training nor evaluation"),
    Refused(f"{PREPARE}, output: null", "", "PrepareData leaves nothing behind without output.uri or a workspace"),
    Refused(
        f"{PREPARE}, output: null, cluster: {{workspace: {{storage: 1Gi}}}}", "", "PrepareData leaves nothing behind"
    ),
    Refused(f"goal: Evaluate, {SCRATCH}", "model", "goal Evaluate needs model.from"),
    Refused("goal: Evaluate, training: {epochs: 3}", "training", "goal Evaluate has of training only sequenceLength"),
    Refused("goal: Evaluate, training: {lora: {}}", "training", "goal Evaluate has of training only sequenceLength"),
    Refused(
        "output: null, ttlSecondsAfterFinished: 60", "ttlSecondsAfterFinished", "would delete the weights with the run"
    ),
)
REFUSED = (*UNKNOWN, *TYPES, *MISSING, *ENUMS, *BOUNDS, *TEXTS, *RULES)
