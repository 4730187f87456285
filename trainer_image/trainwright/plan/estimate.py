"""The plan of a run: sizes, memory, disk, time and cost by arithmetic alone: no clock, no files, no environment."""

from __future__ import annotations

from collections.abc import Sequence

from trainwright.api import Spec, unbuilt
from trainwright.errors import DoesNotFit
from trainwright.plan import layout, mission
from trainwright.plan.amounts import Amounts, amounts
from trainwright.plan.disk import disk_lines, total_bytes
from trainwright.plan.shape import lora_parameters
from trainwright.plan.steps import default_batch_tokens, packs_per_step, step_count
from trainwright.plan.times import time_lines, training_seconds
from trainwright.plan.values import NEEDS_MODEL, Facts, Figure, Line, Machine, MemoryLine, Plan, StageLine, unknown

GB = 10**9
REUSED = "reused"


def plan(spec: Spec, facts: Facts, machine: Machine, *, name: str = "", stages: Sequence[StageLine] = ()) -> Plan:
    """Size a run from its resolved spec, what is known so far, and where it shall run; equal arguments, equal plan."""
    counted = amounts(spec, facts)
    trains = spec.goal == "Train"
    parameters, trainable = _parameters(spec, facts)
    epochs = _epochs(spec) if trains else _no_training(spec)
    batch = _batch_tokens(spec, counted, epochs) if trains else _no_training(spec)
    steps = _steps(spec, counted, epochs, batch) if trains else _no_training(spec)
    tokens = _all_tokens(spec, counted, epochs, batch, steps) if trains else _no_training(spec)
    training = _training(spec, facts, machine, counted, batch, trainable) if trains else None
    table = layout.memory_table(training) if training else ()
    chosen = layout.choose(training) if training else None
    disk = disk_lines(spec, facts, counted, trainable)
    seconds = training_seconds(spec, facts, machine, tokens, trainable)
    reused = frozenset(line.stage for line in stages if line.will == REUSED)
    times = time_lines(spec, counted.exchanges, seconds, machine, reused)
    hours = _device_hours(times, machine) if trains else _no_training(spec)
    return Plan(
        name=name,
        goal=spec.goal,
        machine=machine,
        parameters=parameters,
        trainable=trainable,
        exchanges=counted.exchanges,
        train_exchanges=counted.train_exchanges,
        tokens=counted.tokens,
        epochs=epochs,
        sequence_length=counted.sequence_length,
        batch_tokens=batch,
        steps=steps,
        memory=table,
        chosen=chosen,
        disk=disk,
        times=times,
        device_hours=hours,
        cost=_cost(hours, machine),
        mission=_mission(parameters, counted, epochs, machine),
        problems=tuple(_problems(machine, training, table, chosen, disk)),
        notes=tuple(_notes(spec, machine, training, chosen)),
        stages=tuple(stages),
    )


def check(made: Plan) -> None:
    """Refuse what cannot fit, before anything is spent.

    Raises:
        DoesNotFit: memory or disk is too small; all problems are named.
    """
    if made.problems:
        raise DoesNotFit(
            "; ".join(made.problems), hint="`trainwright plan FILE` shows the sizes; change the setting that is named"
        )


def _parameters(spec: Spec, facts: Facts) -> tuple[Figure, Figure]:
    """All parameters, and those that are trained."""
    if facts.shape is None:
        return Figure(value=None, basis=facts.shape_basis), NEEDS_MODEL
    everything = Figure(value=facts.shape.parameters, basis=f"exact: {facts.shape_basis}")
    lora = spec.training.lora
    if lora is None:
        return everything, everything
    adapters = lora_parameters(facts.shape, lora.rank, lora.targets)
    return everything, Figure(value=adapters, basis=f"exact: LoRA of rank {lora.rank}")


def _epochs(spec: Spec) -> Figure:
    if spec.epochs is None:
        return Figure(value=None, basis="training.maxSteps decides")
    return Figure(value=spec.epochs, basis="exact: training.epochs or its default")


def _batch_tokens(spec: Spec, counted: Amounts, epochs: Figure) -> Figure:
    if spec.training.batch_tokens is not None:
        return Figure(value=spec.training.batch_tokens, basis="exact: training.batchTokens")
    if counted.tokens.value is None or counted.sequence_length.whole is None:
        return counted.tokens
    chosen = default_batch_tokens(counted.tokens.value * (epochs.value or 1), counted.sequence_length.whole)
    return Figure(value=chosen, basis="default: the power of two that gives about 1,000 steps, 8,192 to 524,288")


def _steps(spec: Spec, counted: Amounts, epochs: Figure, batch: Figure) -> Figure:
    if spec.training.max_steps is not None:
        return Figure(value=spec.training.max_steps, basis="exact: training.maxSteps")
    packs, length = counted.packs, counted.sequence_length.whole
    if packs.whole is None or batch.whole is None or length is None or epochs.value is None:
        return packs
    count = step_count(packs.whole, epochs.value, packs_per_step(batch.whole, length))
    return Figure(value=count, basis=packs.basis)


def _all_tokens(spec: Spec, counted: Amounts, epochs: Figure, batch: Figure, steps: Figure) -> Figure:
    """Tokens of the whole training."""
    if spec.training.max_steps is not None:
        if batch.value is None:
            return batch
        return Figure(value=spec.training.max_steps * batch.value, basis="maxSteps × batchTokens")
    if counted.tokens.value is None or epochs.value is None:
        return counted.tokens
    return Figure(value=counted.tokens.value * epochs.value, basis=counted.tokens.basis)


def _training(
    spec: Spec, facts: Facts, machine: Machine, counted: Amounts, batch: Figure, trainable: Figure
) -> layout.Training | None:
    length = counted.sequence_length.whole
    if facts.shape is None or trainable.whole is None or length is None:
        return None
    cluster = spec.cluster if machine.device.is_gpu else None
    return layout.Training(
        shape=facts.shape,
        trainable=trainable.whole,
        sequence_length=length,
        bytes_per_value=2 if spec.training.precision == "bf16" else 4,
        packs_a_step=packs_per_step(batch.whole or length, length),
        devices=machine.devices,
        memory_bytes=machine.device_memory_bytes,
        micro_batch_tokens=layout.MICRO_BATCH_TOKENS if machine.device.is_gpu else layout.CPU_MICRO_BATCH_TOKENS,
        micro_batch=cluster.micro_batch if cluster else None,
        zero_stage=cluster.zero_stage if cluster else None,
        checkpointing=cluster.activation_checkpointing if cluster else None,
    )


def _device_hours(times: tuple[Line, ...], machine: Machine) -> Figure:
    train = next((line.figure for line in times if line.name == "train"), unknown("this goal does not train"))
    if train.value is None:
        return train
    return Figure(value=train.value / 3600 * machine.devices, basis="train alone, all its devices")


def _cost(hours: Figure, machine: Machine) -> Figure:
    if hours.value is None:
        return hours
    price = machine.price_per_device_hour
    if price is None:
        return unknown(f"no price of {machine.device.name} is known: set --price")
    return Figure(value=hours.value * price, basis=f"{price:.2f} USD an hour and device, {machine.price_basis}")


def _mission(parameters: Figure, counted: Amounts, epochs: Figure, machine: Machine) -> tuple[Line, ...]:
    """The mission's formulas for this run; billions of parameters are rounded to whole ones, as it does."""
    rows = counted.exchanges.whole
    if rows is None:
        return ()
    lines = []
    for machines in sorted({1, machine.machines}):
        seconds = mission.preparation_seconds(rows, machines)
        figure = Figure(value=seconds, basis=f"{rows:,} rows × 2.1 ms ÷ {machines}")
        lines.append(Line(name="prepare", figure=figure))
    if parameters.whole is None or epochs.value is None or not machine.device.is_gpu:
        return tuple(lines)
    size = mission.nominal(parameters.whole)
    for devices in sorted({1, machine.devices}):
        seconds = mission.training_seconds(size, rows, epochs.value, devices)
        basis = f"6 · {size:,} · {rows:,} rows · {epochs.value:,g} epoch(s) ÷ 156 TFLOPS ÷ {devices}"
        lines.append(Line(name="train", figure=Figure(value=seconds, basis=basis)))
    return tuple(lines)


def _problems(
    machine: Machine,
    training: layout.Training | None,
    table: tuple[MemoryLine, ...],
    chosen: MemoryLine | None,
    disk: tuple[Line, ...],
) -> list[str]:
    problems = []
    if training is not None and chosen is None:
        least = min(line.memory.total for line in table)
        usable = layout.USABLE_SHARE * (machine.device_memory_bytes or 0)
        problems.append(
            f"training needs at least {least / GB:.1f} GB on each of {machine.devices} × {machine.device.name}, "
            f"{usable / GB:.1f} GB are usable: more or larger devices, LoRA, or a shorter training.sequenceLength"
        )
    needed, free = total_bytes(disk), machine.free_bytes
    if free is not None and needed > free + machine.written_bytes:
        largest = max(disk, key=lambda line: line.figure.value or 0)
        problems.append(
            f"the workdir needs {needed / GB:.1f} GB and {free / GB:.1f} GB are free (most: {largest.name}, "
            f"{(largest.figure.value or 0) / GB:.1f} GB): make room, choose another --workdir or lower checkpoint.keep"
        )
    return problems


def _notes(spec: Spec, machine: Machine, training: layout.Training | None, chosen: MemoryLine | None) -> list[str]:
    notes = list(machine.notes)
    if late := unbuilt(spec):
        notes.append(f"not built yet, `run` refuses it: {', '.join(late)}")
    if training is None:
        return notes
    device = machine.device
    notes.append(f"{device.name} trains at {device.flops * device.utilisation / 1e12:.3g} TFLOPS: {device.source}")
    if training.packs_a_step < training.devices:
        notes.append(
            f"a step has {training.packs_a_step} packs for {training.devices} devices, so some idle: "
            "raise training.batchTokens"
        )
    if chosen is not None and chosen.layout.checkpointing:
        notes.append("activations are computed again in the backward pass: about a third more time")
    return notes


def _no_training(spec: Spec) -> Figure:
    return Figure(value=None, basis=f"goal {spec.goal} does not train")
