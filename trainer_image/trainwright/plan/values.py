"""What goes into a plan and what comes out: facts, a machine, and figures that each say how they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainwright.plan.devices import Device
from trainwright.plan.memory import DeviceMemory, Layout
from trainwright.plan.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number and how it is known: "exact: …", "measured: …", "estimated: …", or no number and "not known yet: …"."""

    value: float | None
    basis: str

    @property
    def whole(self) -> int | None:
        """The value as a whole number."""
        return None if self.value is None else round(self.value)


def unknown(why: str) -> Figure:
    """A figure that cannot be given yet, with what is missing for it."""
    return Figure(value=None, basis=f"not known yet: {why}")


NEEDS_EXCHANGES = unknown("needs the number of exchanges")
NEEDS_MODEL = unknown("needs the model's sizes")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What is known of one source before or after it was read."""

    name: str
    weight: float = 1.0
    use: str | None = None
    """Train, Validation, Test, or None: `data.split` decides."""
    exchanges: int | None = None
    """Counted by ingest."""
    limit: int | None = None
    """`maxRows` or `--sample`, whichever is smaller."""
    text_bytes: int | None = None
    """Size of its files, if they are uncompressed text."""
    missing: str = ""
    """Why neither exchanges nor bytes are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when a plan is made; None is not known yet. Finished stages replace estimates."""

    shape: Shape | None = None
    shape_basis: str = ""
    """Where the shape is from; if there is none, what is missing for it."""
    sources: tuple[SourceFacts, ...] = ()
    train_exchanges: int | None = None
    """For training, after prepare; each counted once."""
    evaluation_exchanges: int | None = None
    """Validation and test, after prepare."""
    tokens: int | None = None
    """Of one epoch, after tokenize; repeats by weight included."""
    packs: int | None = None
    """Sequences of an epoch, after tokenize."""
    sequence_length: int | None = None
    """As tokenize decided it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the run is planned for: this machine, or the spec's cluster."""

    name: str
    device: Device
    devices: int
    """Training processes, one per device."""
    device_memory_bytes: int | None
    """Of one device; CPU processes share the machine's memory evenly. None: not limited by what is known."""
    cores: Mapping[str, float]
    """Cores of all machines or pods together, for each of ingest, prepare, tokenize and index."""
    machines: int = 1
    """Machines or pods that share prepare."""
    free_bytes: int | None = None
    """Of the file system that holds the workdir."""
    written_bytes: int = 0
    """What stages have written there already: it is part of what the run needs, so it counts as room."""
    price_per_device_hour: float | None = None
    """US dollars."""
    price_basis: str = ""
    notes: tuple[str, ...] = ()
    """What was assumed of it, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """What will happen to a stage: reused, or run because an input changed."""

    stage: str
    will: str
    """"reused", "will run" or "goes on"."""
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLine:
    """Memory of one device with one ZeRO stage, at the largest micro-batch that fits (or one sequence if none does)."""

    layout: Layout
    memory: DeviceMemory
    fits: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named figure of a table: bytes on disk, seconds of a stage."""

    name: str
    figure: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything the plan says of a run; parts that its goal does not have are empty."""

    name: str
    goal: str
    machine: Machine
    parameters: Figure
    trainable: Figure
    exchanges: Figure
    train_exchanges: Figure
    tokens: Figure
    epochs: Figure
    sequence_length: Figure
    batch_tokens: Figure
    steps: Figure
    memory: tuple[MemoryLine, ...]
    chosen: MemoryLine | None
    disk: tuple[Line, ...]
    times: tuple[Line, ...]
    device_hours: Figure
    cost: Figure
    mission: tuple[Line, ...]
    problems: tuple[str, ...]
    """What cannot work, each with what to change."""
    notes: tuple[str, ...] = ()
    stages: tuple[StageLine, ...] = field(default=())
