"""`spec.evaluation` and `spec.output`: how candidates are judged, which limits the winner must meet, where it goes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainwright.api.rules import ApiModel, Json, Rule, has, keyed
from trainwright.api.scalars import OutputUri, StepCount


def _is_on_scale(gate: Json) -> bool:
    limits = [gate[name] for name in ("min", "max") if has(gate, name)]
    return gate["metric"] in ("loss", "perplexity") or all(0 <= limit <= 1 for limit in limits)


class Gate(ApiModel):
    """A limit for the winner, judged once, on the test rows. Missed: the run fails with reason QualityGate and
    exports nothing; status.best.uri names the weights."""

    metric: Literal["loss", "perplexity", "bleu", "rouge1", "rouge2", "rougeL", "probes"]
    """What is limited: loss (nats per token), perplexity, bleu, rouge1, rouge2, rougeL or probes (0 to 1)."""
    min: float | None = None
    """The metric must be at least this."""
    max: float | None = None
    """The metric must be at most this."""
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            id="gate-limit",
            cel="has(self.min) || has(self.max)",
            holds=lambda s: has(s, "min") or has(s, "max"),
            message="give min, max or both",
        ),
        Rule(
            id="gate-scale",
            cel="self.metric in ['loss', 'perplexity'] || ((!has(self.min) || (self.min >= 0.0 && self.min <= 1.0))"
            " && (!has(self.max) || (self.max >= 0.0 && self.max <= 1.0)))",
            holds=_is_on_scale,
            message="bleu, rouge and probes go from 0 to 1: write 0.25, not 25",
        ),
    )


class Probe(ApiModel):
    """A question with a known answer, asked before and after the training."""

    prompt: Annotated[str, Field(min_length=1, max_length=4096)]
    """What is asked."""
    contains: Annotated[str, Field(min_length=1, max_length=1024)]
    """What the answer must contain; case is ignored."""


class Generate(ApiModel):
    """How answers are generated for BLEU, ROUGE and probes: greedily."""

    rows: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    """Exchanges answered for BLEU and ROUGE."""
    max_new_tokens: Annotated[int, Field(ge=1, le=8192)] = 32
    """Longest answer, tokens."""


class Evaluation(ApiModel):
    """How the model is judged."""

    metrics: Annotated[list[Literal["loss", "perplexity", "bleu", "rouge"]], Field(min_length=1, max_length=8)] = [
        "loss",
        "perplexity",
        "bleu",
        "rouge",
    ]
    """What is computed: loss, perplexity, bleu, rouge."""
    every: StepCount | None = None
    """Steps between validations, each of which is a candidate for the result; the last step always is. Absent: ten,
    evenly spread."""
    keep: Annotated[int, Field(ge=1, le=100)] = 1
    """Candidates kept, by validation loss (weights only; with LoRA the adapter), besides the last."""
    max_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 2_000
    """Exchanges for loss and perplexity."""
    generate: Annotated[Generate, Field(default_factory=Generate)]
    """Generated answers, for BLEU, ROUGE and probes."""
    gates: Annotated[list[Gate], Field(max_length=16), *keyed("metric")] = []
    """Limits that the winner must meet, or nothing is exported."""
    probes: Annotated[list[Probe], Field(max_length=100)] = []
    """Questions with known answers."""


class Output(ApiModel):
    """Where the result goes: weights (safetensors), tokenizer, cards, lineage, report.html and metrics.json; for
    PrepareData the rows, for Evaluate the report."""

    uri: OutputUri
    """Place for the result, written once, whole or not at all."""
