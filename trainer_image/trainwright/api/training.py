"""`spec.training`: the mathematics of the training, and `spec.checkpoint`. Nothing here depends on the number of
machines."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.api.rules import ApiModel, Rule, count, has
from trainwright.api.scalars import Duration, ImageRef, OutputUri, StepCount, Uri


class Lora(ApiModel):
    """Low-rank adapters (arXiv 2106.09685), merged into the weights at export."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of the adapters."""
    alpha: Annotated[float, Field(gt=0, le=4096)] = 32.0
    """Adapters are scaled by alpha / rank; twice the rank is customary."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the adapters' inputs that is dropped."""
    targets: Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=32)] = []
    """Names of modules; empty: all linear layers of the blocks (QLoRA, arXiv 2305.14314)."""


class EarlyStopping(ApiModel):
    """Stop when validation loss no longer falls."""

    patience: Annotated[int, Field(ge=1, le=1000)] = 3
    """Validations without improvement."""
    min_delta: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Smallest fall of the loss, nats per token, that is an improvement."""


class Checkpoint(ApiModel):
    """For crashes and suspension only. Which step becomes the result is evaluation's business."""

    interval: Duration | None = None
    """Wall time between checkpoints, as in 10m; absent: from their measured cost, at most 5 % of the time."""
    keep: Annotated[int, Field(ge=1, le=100)] = 2
    """How many of the newest checkpoints stay."""


class Training(ApiModel):
    """The mathematics of the training."""

    objective: Literal["Pretrain", "Finetune"] | None = None
    """Which tokens are learnt. Pretrain: all. Finetune: responses. Absent: Finetune with model.from, Pretrain with
    model.scratch."""
    lora: Lora | None = None
    """Train low-rank adapters; absent: train all weights."""
    epochs: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Passes over the training rows; absent, without maxSteps: 3 for Finetune, 1 for Pretrain."""
    max_steps: StepCount | None = None
    """Optimiser steps, instead of epochs."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Peak of the learning rate; absent: 2e-5 for all weights (Llama 2, arXiv 2307.09288), 2e-4 for LoRA (QLoRA,
    arXiv 2305.14314), 3e-4 from scratch (LLaMA, arXiv 2302.13971)."""
    schedule: Literal["Cosine", "Linear", "Constant"] = "Cosine"
    """How the learning rate falls after warm-up; Cosine and Linear end at 0."""
    warmup: Annotated[float, Field(ge=0, le=0.5)] = 0.03
    """Share of the steps in which the learning rate rises to its peak (Alpaca); at most 0.5."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """AdamW's weight decay (PyTorch's default)."""
    adam_betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = [0.9, 0.95]
    """AdamW's decay of the gradient's mean and square (LLaMA, arXiv 2302.13971)."""
    clip_norm: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Largest norm of the gradient; a larger one is clipped to it (LLaMA, arXiv 2302.13971)."""
    batch_tokens: Annotated[int, Field(ge=128, le=100_000_000)] | None = None
    """Tokens per optimiser step over all GPUs; their number changes the speed, not this. Absent: the power of two
    that gives about 1,000 steps, from 8,192 to 524,288; plan shows it."""
    sequence_length: Annotated[int, Field(ge=32, le=1_048_576)] | None = None
    """Tokens per sequence; absent: 2,048, or the model's limit if smaller. Longer conversations are cut at the
    borders of exchanges into windows that repeat the system turn."""
    truncation: Literal["Drop", "KeepEnd", "Fail"] = "Drop"
    """What becomes of an exchange longer than sequenceLength: Drop it, KeepEnd (the front of its prompt goes) or Fail;
    counted."""
    packing: bool = True
    """Puts several short rows into one sequence; none sees another."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Number format of the arithmetic, the same on every device; the master copy is fp32."""
    seed: Annotated[int, Field(ge=0, le=4_294_967_295)] = 42
    """Seed of everything random."""
    early_stopping: EarlyStopping | None = None
    """Stop when validation loss no longer falls; absent: never."""
    resume_from: OutputUri | None = None
    """A checkpoint of another run (its status.checkpoint.uri): weights, optimiser, position. To start anew from
    weights use model.from."""
    command: Annotated[list[Annotated[str, Field(max_length=32_768)]], Field(min_length=1, max_length=64)] | None = None
    """Your own script under torchrun instead of our loop. $(TRAINWRIGHT_DATA) (rows as Parquet),
    $(TRAINWRIGHT_MODEL) and $(TRAINWRIGHT_OUTPUT) are filled in and set in its environment; the transformers
    folder it leaves in the last is the only candidate."""
    image: ImageRef | None = None
    """Image for command; absent: the trainer image. Ignored on one machine."""
    code: Uri | None = None
    """Folder with your script, which is copied to the working directory of command."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="epochs-or-steps",
            cel="!(has(self.epochs) && has(self.maxSteps))",
            holds=lambda s: count(s, "epochs", "maxSteps") <= 1,
            message="give epochs or maxSteps, not both",
        ),
        Rule(
            id="batch-holds-sequence",
            cel="!has(self.batchTokens) || !has(self.sequenceLength) || self.batchTokens >= self.sequenceLength",
            holds=lambda s: (
                not has(s, "batchTokens") or not has(s, "sequenceLength") or s["batchTokens"] >= s["sequenceLength"]
            ),
            message="batchTokens must hold at least one sequence of sequenceLength tokens",
            field="batchTokens",
        ),
        Rule(
            id="command-image",
            cel="has(self.command) || !(has(self.image) || has(self.code))",
            holds=lambda s: has(s, "command") or count(s, "image", "code") == 0,
            message="image and code belong to command, which is absent",
        ),
        Rule(
            id="command-lora",
            cel="!(has(self.command) && has(self.lora))",
            holds=lambda s: count(s, "command", "lora") <= 1,
            message="lora belongs to our own loop; a command brings its own method",
        ),
    )
