"""A plan as text for people and as JSON for programs (plan.json)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from trainwright.plan.disk import total_bytes
from trainwright.plan.layout import USABLE_SHARE
from trainwright.plan.values import Figure, Line, MemoryLine, Plan, StageLine

GB = 10**9
MEMORY_COLUMNS = ("weights", "gradients", "optimiser", "activations", "logits", "total")


def to_json(made: Plan) -> Mapping[str, Any]:
    """The plan as plain JSON values, names in camelCase; units are in the names, every figure has its basis."""
    values: Mapping[str, Any] = _camel(asdict(made))
    return values


def _camel(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel_name(name): _camel(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_camel(item) for item in value]
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def render(made: Plan) -> str:
    """The plan as text of at most about 120 columns, with a basis beside each figure."""
    parts = [
        _head(made),
        _stages(made),
        _sizes(made),
        _memory(made),
        _disk(made),
        _times(made),
        _mission(made),
        [f"note: {note}" for note in made.notes],
        [f"problem: {problem}" for problem in made.problems],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(made: Plan) -> list[str]:
    return [f"plan of {made.name or 'the run'} ({made.goal}) on {made.machine.name}"]


def _stages(made: Plan) -> list[str]:
    if not made.stages:
        return []
    return ["stages", *(f"  {line.stage:<9} {_will(line)}" for line in made.stages)]


def _will(line: StageLine) -> str:
    return f"{line.will}, because {line.because}" if line.because else line.will


def _sizes(made: Plan) -> list[str]:
    rows = [
        _row("exchanges", _number(made.exchanges), made.exchanges),
        _row("for training", _number(made.train_exchanges, "an epoch"), made.train_exchanges),
        _row("tokens", _number(made.tokens, "an epoch"), made.tokens),
    ]
    if made.goal != "PrepareData":
        rows.insert(0, _row("parameters", _number(made.parameters), made.parameters))
        rows.append(_row("sequence length", _number(made.sequence_length, "tokens"), made.sequence_length))
    if made.goal == "Train":
        rows.insert(1, _row("trained", _number(made.trainable), made.trainable))
        rows.append(_row("epochs", _number(made.epochs), made.epochs))
        rows.append(_row("step", _number(made.batch_tokens, "tokens"), made.batch_tokens))
        rows.append(_row("steps", _number(made.steps), made.steps))
    return ["sizes", *rows]


def _row(name: str, shown: str, figure: Figure) -> str:
    return f"  {name:<16} {shown if figure.value is not None else '':>24}   {figure.basis}"


def _memory(made: Plan) -> list[str]:
    if not made.memory:
        return []
    limit = made.machine.device_memory_bytes
    fits = f", {USABLE_SHARE * limit / GB:.1f} of {limit / GB:.1f} GB usable" if limit else ""
    header = "  " + f"{'':<9}" + "".join(f"{name:>13}" for name in MEMORY_COLUMNS) + "   sequences at once"
    return [
        f"memory of one {made.machine.device.name}, GB, {made.memory[0].layout.devices} devices{fits}",
        header,
        *(_memory_row(line, chosen=line == made.chosen) for line in made.memory),
    ]


def _memory_row(line: MemoryLine, *, chosen: bool) -> str:
    values = [getattr(line.memory, name) / GB for name in MEMORY_COLUMNS]
    words = [str(line.layout.micro_batch)]
    if line.layout.checkpointing:
        words.append("activations computed again")
    if line.fits is False:
        words.append("does not fit")
    if chosen:
        words.append("<- chosen")
    return (
        f"  ZeRO-{line.layout.zero_stage:<4}"
        + "".join(f"{value:>13.3f}" for value in values)
        + "   "
        + ", ".join(words)
    )


def _disk(made: Plan) -> list[str]:
    free = made.machine.free_bytes
    known = "" if all(line.figure.value is not None for line in made.disk) else "what is known so far; "
    room = f"{free / GB:.1f} GB are free" if free is not None else "the workspace must hold it"
    if made.machine.written_bytes:
        room += f", {made.machine.written_bytes / GB:.1f} GB are written already"
    total = Figure(value=total_bytes(made.disk), basis=known + room)
    rows = [_row(line.name, _bytes(line.figure), line.figure) for line in made.disk]
    return ["disk", *rows, _row("together", _bytes(total), total)]


def _times(made: Plan) -> list[str]:
    lines = ["time", *(_row(line.name, _duration(line.figure.value), line.figure) for line in made.times)]
    if made.goal == "Train":
        gpu = made.machine.device.is_gpu
        lines.append(_row("GPU hours" if gpu else "core hours", _number(made.device_hours), made.device_hours))
        if gpu:
            lines.append(_row("cost", _number(made.cost, "USD"), made.cost))
    return lines


def _mission(made: Plan) -> list[str]:
    if not made.mission:
        return []
    rows = [_row(line.name, _exact_duration(line), line.figure) for line in made.mission]
    return ["by the mission's formulas (rows, not tokens: docs/way_of_a_run.md)", *rows]


def _number(figure: Figure, unit: str = "") -> str:
    value = figure.value or 0
    text = f"{value:,.0f}" if value >= 1000 or float(value).is_integer() else f"{value:,.3g}"
    return f"{text} {unit}".strip()


def _bytes(figure: Figure) -> str:
    if figure.value is None:
        return ""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if figure.value >= size:
            return f"{figure.value / size:,.1f} {unit}"
    return f"{figure.value / 1000:,.1f} kB"


def _duration(seconds: float | None) -> str:
    """Two largest units: 3 d 4 h, 2 h 5 m, 12 m 3 s, 8.4 s."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    units = list(_units(round(seconds)))
    return " ".join(f"{count:,} {unit}" for count, unit in units[:2])


def _units(seconds: int) -> Iterator[tuple[int, str]]:
    started = False
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        started = started or count > 0
        if started:
            yield count, unit


def _exact_duration(line: Line) -> str:
    """Preparation in hours, training in seconds and days, as the mission states them."""
    seconds = line.figure.value or 0.0
    if line.name == "prepare":
        return f"{seconds / 3600:,.2f} h"
    return f"{seconds:,.2f} s, {seconds / 86_400:,.2f} d"
