"""Every error of a file is told in one pass: its line, field and value, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainwright import api
from trainwright.errors import InvalidSpec

HEAD = """\
apiVersion: trainwright.dev/v1alpha1
kind: TrainingRun
metadata: {name: run}
spec:
"""
DATA = "  data: {sources: [{uri: ./rows.jsonl}]}\n"
MODEL = "  model: {from: ./model}\n"
BASE = HEAD + MODEL + DATA

URI = (
    "is no URI we read: write hf://ORG/NAME[@REVISION][/PATH], s3://BUCKET/PATH, gs://, az://, https://,"
    " pvc://CLAIM/PATH, pkg://PYTHON_PACKAGE/PATH, file:///PATH or ./PATH"
)
NAME = (
    "must be 1 to 40 characters of a-z, 0-9 and '-', begin with a letter and end with a letter or digit:"
    " Jobs and Services are named after it"
)
FIELDS = (
    "goal, model, data, vectorStore, training, evaluation, output, cluster, checkpoint, suspend,"
    " activeDeadlineSeconds, ttlSecondsAfterFinished, backoffLimit"
)

# What is added to a valid run in lines 1 to 6 → what is said of it.
BAD = {
    "  training: {epoch: 3}": "7: spec.training.epoch: unknown field; did you mean epochs?",
    "  training: {learning_rate: 1e-3}": "7: spec.training.learning_rate: unknown field; did you mean learningRate?",
    "  trainig: {}": "7: spec.trainig: unknown field; did you mean training?",
    "  nodes: 2": "7: spec.nodes: unknown field; it belongs to spec.cluster.nodes",
    "  num_train_epochs: 3": "7: spec.num_train_epochs: unknown field; here it is spec.training.epochs",
    "  lora_r: 8": "7: spec.lora_r: unknown field; here it is spec.training.lora.rank",
    "  training: {micro_batch_size: 2}": (
        "7: spec.training.micro_batch_size: unknown field; here it is spec.cluster.microBatch"
    ),
    "  training: {per_device_train_batch_size: 2}": (
        "7: spec.training.per_device_train_batch_size: unknown field; here it is spec.cluster.microBatch"
    ),
    "  trust_remote_code: true": (
        "7: spec.trust_remote_code: unknown field; here it is nowhere: no code of a model is ever run"
    ),
    "  zzz: 1": f"7: spec.zzz: unknown field; known here: {FIELDS}",
    "extra: 1": "7: extra: unknown field; known here: apiVersion, kind, metadata, spec, status",
    "training: {}": "7: training: unknown field; it belongs to spec.training",
    "  training: 3": "7: spec.training: must be a map of fields, is 3",
    "  training: {epochs: three}": '7: spec.training.epochs: must be a number, is "three"',
    "  training: {epochs: 0}": "7: spec.training.epochs: must be more than 0, is 0",
    "  training: {epochs: -1}": "7: spec.training.epochs: must be more than 0, is -1",
    "  training: {warmup: 0.9}": "7: spec.training.warmup: must be at most 0.5, is 0.9",
    "  training: {maxSteps: 1.5}": "7: spec.training.maxSteps: must be a whole number, is 1.5",
    "  training: {seed: 99999999999}": "7: spec.training.seed: must be at most 4,294,967,295, is 99999999999",
    "  training: {packing: 1}": "7: spec.training.packing: must be true or false, is 1",
    "  training: {schedule: cosine}": (
        '7: spec.training.schedule: must be Cosine, Linear or Constant, is "cosine"; did you mean Cosine?'
    ),
    "  training: {precision: fp16}": (
        '7: spec.training.precision: must be bf16 or fp32, is "fp16"; did you mean bf16?'
    ),
    "  goal: yes": (
        "7: spec.goal: must be Train, PrepareData or Evaluate, is true;"
        ' YAML reads this word as a boolean: quote it, as in "yes"'
    ),
    "  training: {adamBetas: [0.9]}": "7: spec.training.adamBetas: must be at least 2 entries long, is 1",
    "  training: {adamBetas: [0.9, 1]}": "7: spec.training.adamBetas[1]: must be less than 1, is 1",
    "  training: {epochs: 1, maxSteps: 2}": "7: spec.training: give epochs or maxSteps, not both",
    "  training: {batchTokens: 512, sequenceLength: 1024}": (
        "7: spec.training.batchTokens: batchTokens must hold at least one sequence of sequenceLength tokens"
    ),
    "  training: {image: a/b}": "7: spec.training: image and code belong to command, which is absent",
    "  training: {command: [x.py], lora: {}}": (
        "7: spec.training: lora belongs to our own loop; a command brings its own method"
    ),
    "  training:": "7: spec.training: has no value; remove the line, or write {} for a group of defaults",
    "  suspend: true\n  suspend: false": "8: spec.suspend: stands twice, first in line 7",
    "  output: {uri: hf://me/model}": (
        "7: spec.output.uri: 'hf://me/model' is no place we write to: use s3://BUCKET/PREFIX, gs://, az://,"
        " pvc://CLAIM/PATH, file:///PATH or ./PATH"
    ),
    "  output: {}": "7: spec.output.uri: required, and absent",
    "  checkpoint: {interval: 10 min}": (
        "7: spec.checkpoint.interval: '10 min' is no duration: write hours, minutes and seconds as in 90s, 30m or 1h30m"
    ),
    "  evaluation: {gates: [{metric: bleu, min: 25}]}": (
        "7: spec.evaluation.gates[0]: bleu, rouge and probes go from 0 to 1: write 0.25, not 25"
    ),
    "  evaluation: {gates: [{metric: bleu}]}": "7: spec.evaluation.gates[0]: give min, max or both",
    "  evaluation: {gates: [{metric: loss, max: 2}, {metric: loss, max: 3}]}": (
        "7: spec.evaluation.gates[1]: metric loss stands twice"
    ),
    "  evaluation: {probes: [{prompt: a}]}": "7: spec.evaluation.probes[0].contains: required, and absent",
    "  evaluation: {probes: [{prompt: '', contains: a}]}": ("7: spec.evaluation.probes[0].prompt: must not be empty"),
    "  ttlSecondsAfterFinished: 60": (
        "7: spec.ttlSecondsAfterFinished: would delete the weights with the run: set output.uri,"
        " or a workspace that outlives it"
    ),
    "  cluster: {stages: {train: {resources: {memory: 64GB}}}}": (
        "7: spec.cluster.stages.train.resources.memory: '64GB' must be a quantity such as 8, 500m, 64Gi, 1.5Ti"
    ),
    "  cluster: {stages: {train: {resources: {cpu: 1.5}}}}": (
        "7: spec.cluster.stages.train.resources.cpu: 1.5 must be a quantity such as 8, 500m, 64Gi, 1.5Ti"
    ),
    "  evaluation: {gates: [{max: 2}]}": "7: spec.evaluation.gates[0].metric: required, and absent",
    "  cluster: {labels: {a: }}": (
        "7: spec.cluster.labels.a: has no value; remove the line, or write {} for a group of defaults"
    ),
    "  cluster: {labels: {'': a}}": '7: spec.cluster.labels: the key "" must not be empty',
    "  cluster: {gpuResource: gpu}": (
        "7: spec.cluster.gpuResource: 'gpu' is no name of an extended resource: write PREFIX/NAME as in nvidia.com/gpu"
    ),
    "  cluster: {stages: {train: {resources: {cpu: yes}}}}": (
        "7: spec.cluster.stages.train.resources.cpu: true must be a quantity such as 8, 500m, 64Gi, 1.5Ti"
    ),
    "status: {phase: 3, fase: Pending}": (
        "7: status.fase: unknown field; leave the status out: the operator writes it"
    ),
    "  cluster: {labels: {-x: a}}": (
        "7: spec.cluster.labels: '-x' is no label key: [PREFIX/]NAME of letters, digits, '-', '_' and '.'"
    ),
    "  cluster: {env: [{name: HF_TOKEN, value: x}]}": (
        "7: spec.cluster.env[0].value: looks like a secret: use secretKeyRef"
    ),
    "  cluster: {env: [{value: x}]}": "7: spec.cluster.env[0].name: required, and absent",
    "  cluster: {env: [{name: PET_NNODES, value: x}]}": (
        "7: spec.cluster.env[0].name: PET_*, KUBEFLOW_TRAINER_* and TRAINWRIGHT_* are set by the operator"
    ),
    "  cluster: {workspace: {claimName: a, uri: 's3://b/c'}}": (
        "7: spec.cluster.workspace: give one of claimName, uri, or storage with storageClassName"
    ),
    "  cluster: {workspace: {uri: 'pvc://b/c'}}": (
        "7: spec.cluster.workspace.uri: write claimName instead of a pvc:// uri"
    ),
    "  cluster: {serviceAccountName: My_Account}": (
        "7: spec.cluster.serviceAccountName: 'My_Account' is no name of a Kubernetes object: use a-z, 0-9, '-' and '.'"
    ),
}

# Whole specs → what is said of them.
WHOLE = {
    "  goal: Train\n" + DATA: "4: spec.model: model is required unless goal is PrepareData",
    "  goal: PrepareData\n  training: {}\n" + DATA: "4: spec: goal PrepareData has neither training nor evaluation",
    "  goal: Evaluate\n  model: {scratch: {preset: llama-tiny}, tokenizer: {from: ./t}}\n" + DATA: (
        "6: spec.model: goal Evaluate needs model.from"
    ),
    "  goal: Evaluate\n  training: {epochs: 3, precision: fp32}\n" + MODEL + DATA: (
        "6: spec.training: goal Evaluate has of training only sequenceLength, truncation, packing, precision"
    ),
    "  model: {}\n" + DATA: ("5: spec.model: give exactly one of from (existing weights), scratch (random weights)"),
    "  model: {scratch: {preset: llama-tiny}}\n" + DATA: (
        "5: spec.model: a model from scratch needs a tokenizer: tokenizer.train.vocabularySize or tokenizer.from"
    ),
    "  model: {scratch: {}, tokenizer: {from: ./t}}\n" + DATA: (
        "5: spec.model.scratch: give exactly one of preset, config"
    ),
    "  model: {from: ./m, tokenizer: {}}\n" + DATA: "5: spec.model.tokenizer: give exactly one of from, train",
    "  model: {from: meta-llama/Llama-3.2-3B}\n" + DATA: (
        f"5: spec.model.from: 'meta-llama/Llama-3.2-3B' {URI};"
        " did you mean hf://meta-llama/Llama-3.2-3B or ./meta-llama/Llama-3.2-3B?"
    ),
    MODEL + "  data: {sources: []}\n": "6: spec.data.sources: must not be empty",
    MODEL
    + "  data: {sources: [{uri: ./a, columns: {messages: m, roles: {"
    + ", ".join(f"r{n}: user" for n in range(17))
    + "}}}]}\n": "6: spec.data.sources[0].columns.roles: must be at most 16 entries long, is 17",
    MODEL + "  data: {sources: {uri: ./a}}\n": '6: spec.data.sources: must be a list, is {"uri": "./a"}',
    MODEL + "  data: {sources: [{uri: /rows.jsonl}]}\n": (
        f"6: spec.data.sources[0].uri: '/rows.jsonl' {URI}; did you mean file:///rows.jsonl?"
    ),
    MODEL + "  data:\n    sources:\n      - uri: ./a\n        columns: {prompt: q}\n": (
        "9: spec.data.sources[0].columns: prompt and response go together"
    ),
    MODEL + "  data:\n    sources:\n      - uri: ./a\n        columns: {text: t, messages: m}\n": (
        "9: spec.data.sources[0].columns: give exactly one of text, prompt, messages, conversation"
    ),
    MODEL + "  data:\n    sources:\n      - uri: ./a\n        columns: {conversation: c, role: r}\n": (
        "9: spec.data.sources[0].columns: conversation needs role and content"
    ),
    MODEL + DATA[:-2] + ", split: {validation: 0.6, test: 0.6}}\n": (
        "6: spec.data.split: validation + test may be 1 at most"
    ),
    MODEL + DATA[:-2] + ", prepare: {language: {keep: [en, deutsch]}}}\n": (
        "6: spec.data.prepare.language.keep[1]: 'deutsch' is no language code: write ISO 639 as in en, de, zh"
    ),
    MODEL + DATA[:-2] + ", prepare: {language: {translateTo: en}}}\n": (
        "6: spec.data.prepare.language: translateTo and translator go together"
    ),
}


@pytest.mark.parametrize("added", BAD)
def test_one_error_is_told_with_its_cure(added: str) -> None:
    assert [str(problem) for problem in api.problems(f"{BASE}{added}\n")] == [BAD[added]]


@pytest.mark.parametrize("spec", WHOLE)
def test_an_error_of_a_whole_spec_is_told_with_its_cure(spec: str) -> None:
    assert [str(problem) for problem in api.problems(HEAD + spec)] == [WHOLE[spec]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("3b-chat", "3b-chat"),
        ("llama-3.2-3b", "llama-3.2-3b"),
        ("2024-06-01", "2024-06-01"),
        ("a" * 41, "a" * 41),
        ("a-", "a-"),
        ("Upper", "Upper"),
    ],
)
def test_a_name_that_jobs_cannot_have_is_refused(name: str, shown: str) -> None:
    text = BASE.replace("name: run", f"name: {name}")
    assert [str(problem) for problem in api.problems(text)] == [f"3: metadata.name: '{shown}' {NAME}"]


@pytest.mark.parametrize("name", ["a", "b" * 40, "run-2"])
def test_a_name_that_jobs_can_have_is_taken(name: str) -> None:
    assert api.problems(BASE.replace("name: run", f"name: {name}")) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("nam: run", "metadata.nam: unknown field; did you mean name?"),
        ("labels: {-x: a}", "metadata.labels: '-x' is no label key"),
        ("labels: {a..b/x: a}", "metadata.labels: 'a..b/x' is no label key"),
        ("labels: {x: -a}", "metadata.labels.x: '-a' is no label value"),
        ("labels: {x: 3}", "metadata.labels.x: must be text, is 3"),
        ("annotations: {x y: a}", "metadata.annotations: 'x y' is no label key"),
        ("labels: {x: }", "metadata.labels.x: has no value"),
        ("finalizers: 3", "metadata.finalizers: must be a list, is 3"),
        ("creationTimestamp: today", "metadata.creationTimestamp: 'today' is no time"),
    ],
)
def test_metadata_that_the_api_server_refuses_is_refused(given: str, told: str) -> None:
    problems = [str(problem) for problem in api.problems(BASE.replace("{name: run}", f"{{name: run, {given}}}"))]
    assert len(problems) == 1
    assert problems[0].startswith(f"3: {told}")


def test_a_name_without_a_value_is_missing() -> None:
    (problem,) = api.problems(BASE.replace("name: run", "name: null"))
    assert str(problem) == "3: metadata.name: required, and absent"


def test_metadata_that_the_api_server_writes_is_taken() -> None:
    written = (
        "{name: run, namespace: team-a, uid: 1-2, generation: 3, resourceVersion: '7', creationTimestamp: null,"
        " labels: {A.b_c: '', example.com/x: one}, annotations: {Example.com/x: any text}, finalizers: [a/b],"
        " ownerReferences: [{kind: Job}], managedFields: [{manager: kubectl}]}"
    )
    assert api.problems(BASE.replace("{name: run}", written)) == []


def test_a_problem_carries_its_parts() -> None:
    (problem,) = api.problems(BASE + "  cluster:\n    nodes: 0\n")
    assert (problem.line, problem.field, problem.rule, problem.value) == (8, "spec.cluster.nodes", "bounds", "0")


def test_all_errors_of_a_file_are_told_in_one_pass() -> None:
    text = (
        HEAD + "  goal: train\n  nodes: 2\n  data: {sources: [{uri: rows, weight: 0}], split: {test: 2}}\n  suspend:\n"
    )
    fields = [(problem.line, problem.field) for problem in api.problems(text)]
    assert fields == [
        (4, "spec.model"),
        (5, "spec.goal"),
        (6, "spec.nodes"),
        (7, "spec.data.sources[0].uri"),
        (7, "spec.data.sources[0].weight"),
        (7, "spec.data.split"),
        (7, "spec.data.split.test"),
        (8, "spec.suspend"),
    ]


def test_paths_of_one_machine_are_refused_on_a_cluster_only() -> None:
    text = BASE + "  output: {uri: file:///models/run}\n"
    assert api.problems(text) == []
    told = [str(problem) for problem in api.problems(text, cluster=True)]
    unseen = "is a path on one machine, which pods cannot see: use"
    read_from = "pvc://CLAIM/PATH, s3://, gs://, az://, hf://, https:// or pkg://"
    assert told == [
        f"5: spec.model.from: './model' {unseen} {read_from}",
        f"6: spec.data.sources[0].uri: './rows.jsonl' {unseen} {read_from}",
        f"7: spec.output.uri: 'file:///models/run' {unseen} s3://, gs://, az:// or pvc://CLAIM/PATH",
    ]


@pytest.mark.parametrize(
    ("source", "guess"),
    [
        ("me/chats", "did you mean hf://datasets/me/chats?"),
        ("chats/day.jsonl", ""),
        ("chats.jsonl", ""),
        ("/data/chats", ""),
    ],
)
def test_what_is_guessed_for_a_cluster_is_nothing_of_one_machine(source: str, guess: str) -> None:
    text = f"{HEAD}  model: {{from: hf://me/model}}\n  data: {{sources: [{{uri: {source}}}]}}\n"
    assert [problem.hint for problem in api.problems(text, cluster=True)] == [guess]


def test_prepared_rows_that_would_be_lost_are_refused_on_a_cluster_only() -> None:
    text = HEAD + "  goal: PrepareData\n  data: {sources: [{uri: 's3://a/b'}]}\n"
    assert api.problems(text) == []
    assert [problem.rule for problem in api.problems(text, cluster=True)] == ["prepare-lasts"]


def test_other_kinds_beside_a_run_are_left_alone() -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: \n  a: 1\n"
    assert api.problems(f"{secret}---\n{BASE}") == []
    assert api.problems(f"{BASE}---\n{secret}") == []


def test_all_runs_of_a_file_are_judged() -> None:
    problems = api.problems(f"{BASE}  nodes: 2\n---\n{BASE}  nodez: 2\n")
    assert [(problem.line, problem.field) for problem in problems] == [(7, "spec.nodes"), (15, "spec.nodez")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "words\n", "- a\n"])
def test_a_text_without_a_map_is_no_run(text: str) -> None:
    assert [problem.message for problem in api.problems(text)] == ["this is no TrainingRun: it holds no map of fields"]


def test_a_file_of_another_tool_is_answered_in_its_own_words() -> None:
    told = [str(problem) for problem in api.problems("base_model: a/b\nsequence_len: 512\nmicro_batch_size: 2\n")]
    assert told == [
        "1: apiVersion: required, and absent",
        "1: base_model: unknown field; here it is spec.model.from",
        "1: kind: required, and absent",
        "1: metadata: required, and absent",
        "1: spec: required, and absent",
        "2: sequence_len: unknown field; here it is spec.training.sequenceLength",
        "3: micro_batch_size: unknown field; here it is spec.cluster.microBatch",
    ]


def test_a_run_of_another_version_is_refused() -> None:
    (problem,) = api.problems(BASE.replace("v1alpha1", "v2"))
    assert str(problem) == '1: apiVersion: must be trainwright.dev/v1alpha1, is "trainwright.dev/v2"'


def test_an_object_of_the_api_server_is_judged_without_lines() -> None:
    metadata = {"name": "run", "uid": "1", "managedFields": [], "generation": 3}
    spec = {"model": {"from": "./m"}, "data": {"sources": [{"uri": "s3://a/b"}]}, "suspend": None}
    run = {"apiVersion": "trainwright.dev/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "spec": spec}
    problems = api.problems_of_object({**run, "status": {"unknown": 1}})
    assert [str(problem).partition(" is a path")[0] for problem in problems] == ["spec.model.from: './m'"]


def test_load_run_tells_all_problems_in_one_error(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(BASE + "  nodes: 2\n  suspend: 3\n", "utf-8")
    with pytest.raises(InvalidSpec) as caught:
        api.load_run(file)
    assert caught.value.message == (
        f"{file} has 2 problems:\n"
        f"  {file}:7: spec.nodes: unknown field; it belongs to spec.cluster.nodes\n"
        f"  {file}:8: spec.suspend: must be true or false, is 3"
    )
    assert caught.value.exit_code == 2


def test_a_run_read_back_from_the_api_server_is_loaded_without_its_status(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"{BASE}status: {{phase: 3}}\n", "utf-8")
    assert api.load_run(file).status is None


def test_load_run_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"none\.yaml cannot be read: No such file"):
        api.load_run(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(InvalidSpec, match="is no UTF-8 text"):
        api.load_run(tmp_path / "latin.yaml")


def test_load_run_wants_one_run_and_load_runs_takes_many(tmp_path: Path) -> None:
    file = tmp_path / "runs.yaml"
    file.write_text(f"{BASE}---\nkind: Secret\n---\n{BASE.replace('name: run', 'name: other')}", "utf-8-sig")
    with pytest.raises(InvalidSpec, match=r"holds 2 TrainingRuns \(run, other\)"):
        api.load_run(file)
    assert [run.metadata.name for run in api.load_runs(file)] == ["run", "other"]
