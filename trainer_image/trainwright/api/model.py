"""`spec.model`: the weights or the shape that a run starts from, its tokenizer and its chat template."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.api.rules import ApiModel, Rule, count, has
from trainwright.api.scalars import Uri


class Scratch(ApiModel):
    """A model that starts from random weights."""

    preset: Literal["llama-tiny", "llama-3.2-1b", "llama-3.2-3b"] | None = None
    """A published shape: llama-tiny (3 to 4 million parameters), llama-3.2-1b, llama-3.2-3b (3,212,749,824)."""
    config: Uri | None = None
    """A config.json of transformers, instead of a preset."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="scratch-one",
            cel="has(self.preset) != has(self.config)",
            holds=lambda s: has(s, "preset") != has(s, "config"),
            message="give exactly one of preset, config",
        ),
    )


class TrainTokenizer(ApiModel):
    """A byte-level BPE tokenizer learnt from the training rows of this run."""

    vocabulary_size: Annotated[int, Field(ge=300, le=512_000)]
    """Number of tokens, special tokens included."""


class Tokenizer(ApiModel):
    """Where the tokenizer comes from, if it is not the model's own."""

    from_: Annotated[Uri | None, Field(alias="from")] = None
    """A tokenizer.json, or a folder or repository that has one."""
    train: TrainTokenizer | None = None
    """Learn a tokenizer from the training rows."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="tokenizer-one",
            cel="has(self.from) != has(self.train)",
            holds=lambda s: has(s, "from") != has(s, "train"),
            message="give exactly one of from, train",
        ),
    )


class Model(ApiModel):
    """The model to start from: existing weights, or a shape."""

    from_: Annotated[Uri | None, Field(alias="from")] = None
    """Weights: a folder, a repository with safetensors, or one .gguf file. hf://ORG/NAME@REVISION pins a revision;
    without it the one found at the first start is pinned."""
    scratch: Scratch | None = None
    """Random weights of this shape, instead of existing ones."""
    tokenizer: Tokenizer | None = None
    """Another tokenizer than the model's own; absent: the model's own. Required with scratch."""
    chat_template: Literal["llama3", "chatml"] | None = None
    """How turns become tokens, the same in train, evaluate, chat and export; absent: the tokenizer's own, else
    llama3 for Llama shapes and chatml for others."""
    system_prompt: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    """System message of rows that have none. Absent: none, and the exported template inserts none either (an own
    template that inserts one is replaced by chatml or llama3, and plan says so)."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="model-one",
            cel="has(self.from) != has(self.scratch)",
            holds=lambda s: count(s, "from", "scratch") == 1,
            message="give exactly one of from (existing weights), scratch (random weights)",
        ),
        Rule(
            id="scratch-tokenizer",
            cel="!has(self.scratch) || has(self.from) || has(self.tokenizer)",
            holds=lambda s: not has(s, "scratch") or has(s, "from") or has(s, "tokenizer"),
            message="a model from scratch needs a tokenizer: tokenizer.train.vocabularySize or tokenizer.from",
        ),
    )
