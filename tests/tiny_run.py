"""Stage outputs of a run with a tiny Llama: what evaluate and export read, made in about two seconds.

Real parts throughout: a byte-level tokenizer, the chatml template, packed shards, weights trained for some steps by
torch. The model learns its few answers by heart, so that what it says after training is known.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytest import TempPathFactory
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.chat_template import ChatTemplate, Conversation
from trainwright.chat_template.texts import template_text
from trainwright.contract import RunConfig
from trainwright.formats.rows import write_part
from trainwright.formats.tokens import Sequences, TokenShards, write_shard
from trainwright.pack_loss import batch_loss
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.factories import conversation, rows_frame

FACTS = (
    ("Which planet is red?", "Mars is red."),
    ("Which city is in Japan?", "Tokyo."),
    ("今天天气怎么样?", "今天天气很好"),
    ("How are you?", "Fine, thanks!"),
)
LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
STEPS = 110
torch.set_num_threads(1)  # more would only wait for each other on so small a model

_SHARED: dict[bool, TinyRun] = {}


@dataclass(frozen=True)
class TinyRun:
    """A config and the artifacts of the stages before evaluate."""

    config: RunConfig
    inputs: dict[str, Artifact]

    def with_spec(self, **changes: Any) -> RunConfig:
        """The config with other settings, by their YAML names: evaluation={"gates": [...]}; None removes a group."""
        spec = self.config.spec.model_dump(by_alias=True, exclude_unset=True)
        for group, values in changes.items():
            spec[group] = {**spec.get(group, {}), **values} if isinstance(values, Mapping) else values
        spec = {group: values for group, values in spec.items() if values is not None}
        return self.config.model_copy(update={"spec": Spec.model_validate(spec)})

    def copy(self, folder: Path) -> TinyRun:
        """The same run in another folder, to be damaged."""
        shutil.copytree(self.config.workdir, folder)
        inputs = {
            name: Artifact(stage=name, key=one.key, folder=folder / name, done=one.done)
            for name, one in self.inputs.items()
        }
        return TinyRun(config=self.config.model_copy(update={"workdir": folder, "base_folder": folder}), inputs=inputs)

    def candidate(self) -> Path:
        """The folder of its one candidate."""
        return self.inputs["train"].folder / "candidates" / f"step-{STEPS}"


def tiny_run(folder: Path, *, lora: bool = False, precision: str = "fp32") -> TinyRun:
    """Make everything under `folder`; validation and test rows ask what was trained."""
    spec: dict[str, Any] = {
        "model": {"from": "./base"},
        "data": {"sources": [{"uri": "./facts.jsonl", "license": "MIT"}]},
        "training": {
            "precision": precision,
            "sequenceLength": 64,
            **({"lora": {"rank": 4, "alpha": 8}} if lora else {}),
        },
        "evaluation": {
            "probes": [{"prompt": FACTS[0][0], "contains": "mars"}, {"prompt": FACTS[1][0], "contains": "Osaka"}],
            "generate": {"rows": 8, "maxNewTokens": 24},
        },
        "vectorStore": {"enabled": False},
    }
    config = RunConfig(name="tiny", spec=Spec.model_validate(spec), workdir=folder, base_folder=folder)
    tokenize = folder / "tokenize"
    write_tokenizer(tokenize / "tokenizer")
    template = ChatTemplate.load(tokenize)
    rows = [
        conversation(*fact, source=split, record=n, split=split)
        for split in ("train", "validation", "test")
        for n, fact in enumerate(FACTS)
    ]
    write_part(rows_frame(*rows), folder / "prepare" / "rows", 0)
    for split in ("train", "validation", "test"):
        write_tokens(tokenize / split, template, [row for row in rows if row["split"] == split])
    base = tiny_model(template.vocabulary_size)
    base.save_pretrained(folder / "weights" / "model")
    evaluations = _train(base, folder / "train", tokenize, lora=lora, precision=precision)
    (folder / "ingest").mkdir()
    metrics: dict[str, Mapping[str, Any]] = {
        "weights": {"scratch": False, "architecture": "LlamaForCausalLM", "revision": None},
        "ingest": {},
        "prepare": {
            "fingerprint": "sha256:00",
            "steps": [{"step": "clean", "in": 9, "out": 8, "reasons": {"empty": 1}}],
        },
        "tokenize": {"sequenceLength": 64, "vocabularySize": template.vocabulary_size},
        "train": {"kept": [STEPS], "best": evaluations[-1], "steps": STEPS, "ended": "maxSteps"},
    }
    counts = {"prepare": {"train": 4, "validation": 4, "test": 4}}
    return TinyRun(
        config=config,
        inputs={name: artifact(folder / name, name, values, counts.get(name)) for name, values in metrics.items()},
    )


def shared_run(folders: TempPathFactory, *, lora: bool = False) -> TinyRun:
    """One run for all tests of a session that only read it."""
    if lora not in _SHARED:
        _SHARED[lora] = tiny_run(folders.mktemp("tiny") / "run", lora=lora)
    return _SHARED[lora]


def artifact(folder: Path, stage: str, metrics: Mapping[str, Any], counts: Mapping[str, int] | None = None) -> Artifact:
    """A finished output as the stages after it see it."""
    done = {"counts": dict(counts or {}), "metrics": dict(metrics)}
    return Artifact(stage=stage, key=f"{stage:0<16}", folder=folder, done=done)


def write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer with chatml's tokens and template."""
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate([*names, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens(names)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = template_text("chatml")
    fast.save_pretrained(folder)


def write_tokens(folder: Path, template: ChatTemplate, rows: Sequence[Mapping[str, Any]]) -> None:
    """One shard with two sequences to a pack."""
    pieces = template.pieces([Conversation(messages=row["messages"]) for row in rows])
    ids = [[token for part, _ in one for token in part] for one in pieces]
    targets = [[speaker >= 0 for part, speaker in one for _ in part] for one in pieces]
    sequences = Sequences(
        tokens=np.array([token for one in ids for token in one], np.uint32),
        targets=np.array([target for one in targets for target in one], np.bool_),
        lengths=np.array([len(one) for one in ids], np.int32),
        rows=np.frombuffer(b"".join(row["id"] for row in rows), np.uint8).reshape(-1, 16),
    )
    packs = [list(range(n, min(n + 2, len(rows)))) for n in range(0, len(rows), 2)]
    write_shard(folder, 0, sequences, packs, vocabulary_size=template.vocabulary_size, sequence_length=64)


def tiny_model(vocabulary_size: int, **changes: Any) -> Any:
    """A Llama of two layers with tied embeddings and fixed random weights."""
    shape = {
        "vocab_size": vocabulary_size,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 2,
    }
    torch.manual_seed(7)
    return LlamaForCausalLM(LlamaConfig(**{**shape, **changes}))


def write_lines(path: Path, values: Sequence[Mapping[str, Any]]) -> None:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")


def _train(base: Any, folder: Path, tokenize: Path, *, lora: bool, precision: str) -> list[dict[str, Any]]:
    """Train with plain torch in fp32 and leave what train leaves: curves, and the candidate in its precision."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    shards = TokenShards(tokenize / "train")
    packs = [shards.pack(n) for n in range(shards.pack_count)]
    model: Any = adapted(base) if lora else base
    plain = model.base_model.model if lora else model
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-2 if lora else 1e-2)
    losses: list[dict[str, Any]] = []
    for step in range(1, STEPS + 1):
        nll, count = batch_loss(plain, packs)
        losses.append({"step": step, "loss": float(nll.detach()) / count})
        optimizer.zero_grad()
        (nll / count).backward()
        optimizer.step()
    (model if lora else model.to(dtype)).save_pretrained(folder / "candidates" / f"step-{STEPS}")
    with torch.inference_mode():
        nll, count = batch_loss(plain.to(dtype), packs)
    evaluations = [{"step": 0, "loss": losses[0]["loss"]}, {"step": STEPS, "loss": float(nll) / count}]
    write_lines(folder / "evaluations.jsonl", evaluations)
    write_lines(folder / "steps.jsonl", losses)
    return evaluations


def adapted(base: Any) -> Any:
    """The base with a LoRA adapter to be trained."""
    from peft import LoraConfig, get_peft_model

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=LORA_TARGETS, task_type="CAUSAL_LM")
        return get_peft_model(base, config)
