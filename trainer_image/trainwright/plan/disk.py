"""Bytes that a run writes under its workdir, beside the free space."""

from __future__ import annotations

from trainwright.api import Spec
from trainwright.plan import rates
from trainwright.plan.amounts import Amounts
from trainwright.plan.memory import OPTIMISER_BYTES_PER_PARAMETER
from trainwright.plan.values import NEEDS_EXCHANGES, NEEDS_MODEL, Facts, Figure, Line

SEQUENCE_BYTES = 4 + 16
"""Length and row id of a sequence in the token shards."""
ADAPTER_BYTES_PER_PARAMETER = 4


def disk_lines(spec: Spec, facts: Facts, amounts: Amounts, trainable: Figure) -> tuple[Line, ...]:
    """One line for each thing that is written, in the order it is; a model's lines are absent if the goal has none."""
    lines = [Line(name="rows", figure=_times(amounts.exchanges, rates.ROW_BYTES))]
    if spec.vector_store.enabled and spec.goal != "Evaluate":
        lines.append(Line(name="index", figure=_times(amounts.exchanges, rates.INDEX_BYTES)))
    if spec.goal == "PrepareData" or spec.model is None:
        return tuple(lines)
    lines.append(Line(name="weights", figure=_weights(spec, facts)))
    lines.append(Line(name="tokens", figure=_tokens(facts, amounts)))
    if spec.goal == "Train":
        lines += _of_training(spec, facts, trainable)
    return tuple(lines)


def total_bytes(lines: tuple[Line, ...]) -> int:
    """What is known of the sum."""
    return round(sum(line.figure.value or 0 for line in lines))


def _weights(spec: Spec, facts: Facts) -> Figure:
    if spec.model is not None and spec.model.from_ is None:
        return Figure(value=0, basis="exact: drawn from the seed, not stored")
    if facts.shape is None:
        return NEEDS_MODEL
    size = 4 if spec.model is not None and (spec.model.from_ or "").endswith(".gguf") else 2
    return Figure(value=size * facts.shape.parameters, basis=f"estimated: {size} bytes a parameter")


def _tokens(facts: Facts, amounts: Amounts) -> Figure:
    """Token shards: 2 or 4 bytes and one bit a token, and 20 bytes a sequence."""
    tokens, sequences = amounts.tokens, amounts.train_exchanges
    if tokens.value is None:
        return tokens
    width = 2 if facts.shape is not None and facts.shape.vocabulary <= 1 << 16 else 4
    size = tokens.value * (width + 1 / 8) + (sequences.value or 0) * SEQUENCE_BYTES
    return Figure(value=size, basis=f"{width} bytes and a bit a token, {SEQUENCE_BYTES} bytes a sequence")


def _of_training(spec: Spec, facts: Facts, trainable: Figure) -> list[Line]:
    keep, candidates = spec.checkpoint.keep, spec.evaluation.keep
    size = 2 if spec.training.precision == "bf16" else 4
    shape = facts.shape
    if shape is None or trainable.value is None:
        return [Line(name=name, figure=NEEDS_MODEL) for name in ("checkpoints", "candidates", "export")]
    candidate = ADAPTER_BYTES_PER_PARAMETER * trainable.value if spec.training.lora else size * shape.parameters
    return [
        Line(
            name="checkpoints",
            figure=Figure(
                value=(keep + 1) * OPTIMISER_BYTES_PER_PARAMETER * trainable.value,
                basis=f"({keep} kept + 1 being written) × {OPTIMISER_BYTES_PER_PARAMETER} bytes a trainable parameter",
            ),
        ),
        Line(
            name="candidates",
            figure=Figure(
                value=(candidates + 2) * candidate, basis=f"({candidates} best + the last + 1 being written)"
            ),
        ),
        Line(name="export", figure=Figure(value=size * shape.parameters, basis=f"{size} bytes a parameter")),
    ]


def _times(figure: Figure, size: int) -> Figure:
    return (
        NEEDS_EXCHANGES
        if figure.value is None
        else Figure(value=figure.value * size, basis=f"estimated: {size:,} bytes an exchange")
    )
