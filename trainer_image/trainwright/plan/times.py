"""How long each stage takes: measured CPU time per exchange over the cores; operations of training over the devices."""

from __future__ import annotations

from trainwright.api import Spec
from trainwright.contract import stages_of
from trainwright.plan import rates
from trainwright.plan.values import NEEDS_EXCHANGES, NEEDS_MODEL, Facts, Figure, Line, Machine, unknown

FORWARD_FLOPS = 2
"""Operations per parameter and token: one multiplication, one addition."""


NOT_ESTIMATED = {
    "weights": "depends on the network, or on the size of a file to copy",
    "evaluate": "depends on the length of the answers",
    "export": "depends on the disk",
    "report": "a few seconds",
}


def time_lines(
    spec: Spec, exchanges: Figure, training: Figure, machine: Machine, reused: frozenset[str]
) -> tuple[Line, ...]:
    """One line per stage of the run: nothing if it is reused, else an estimate, else why there is none.

    `training` is the time of train, from `training_seconds`.
    """
    lines = []
    for stage in stages_of(spec):
        if stage.name in reused:
            figure = Figure(value=None, basis="reused")
        elif stage.name == "train":
            figure = training
        elif stage.name in rates.CPU_US_PER_EXCHANGE:
            figure = _of_rows(rates.CPU_US_PER_EXCHANGE[stage.name], exchanges, machine.cores[stage.name])
        else:
            figure = Figure(value=None, basis=f"not estimated: {NOT_ESTIMATED[stage.name]}")
        lines.append(Line(name=stage.name, figure=figure))
    return tuple(lines)


def _of_rows(us_per_exchange: float, exchanges: Figure, cores: float) -> Figure:
    if exchanges.value is None:
        return NEEDS_EXCHANGES
    return Figure(
        value=exchanges.value * us_per_exchange / 1e6 / cores,
        basis=f"estimated: {us_per_exchange:g} µs of one core an exchange, {cores:g} cores",
    )


def training_seconds(spec: Spec, facts: Facts, machine: Machine, tokens: Figure, trainable: Figure) -> Figure:
    """Operations of all tokens ÷ (peak × utilisation × devices).

    A token costs 6 operations per parameter: 2 forward, 4 backward (Kaplan et al., 2020, arXiv:2001.08361, section
    2.1). With LoRA the frozen weights need no gradient of their own: 4, and 6 for the adapters. Attention's own
    operations are left out: 12 · layers · width · length a token, 1 % for Llama 3.2 3B at 200 tokens a conversation.
    """
    if facts.shape is None or trainable.value is None:
        return NEEDS_MODEL
    if tokens.value is None:
        return tokens
    device = machine.device
    if spec.training.precision == "fp32" and device.is_gpu:
        return unknown(f"no fp32 rate of {device.name} is known")
    per_token = 2 * FORWARD_FLOPS * facts.shape.parameters + FORWARD_FLOPS * trainable.value
    if spec.training.lora is not None:
        per_token += 2 * FORWARD_FLOPS * trainable.value
    rate = device.flops * device.utilisation * machine.devices
    speed = f"{machine.devices} × {device.flops / 1e12:g} TFLOPS × {device.utilisation:g}"
    return Figure(
        value=per_token * tokens.value / rate, basis=f"estimated: {per_token:.3g} operations a token ÷ ({speed})"
    )
