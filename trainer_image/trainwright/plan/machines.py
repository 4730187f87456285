"""Where a run is planned for, as far as the spec says it: the machines of `spec.cluster`."""

from __future__ import annotations

import re

from trainwright.api import Spec, StageSettings
from trainwright.api.cluster import Stages
from trainwright.errors import BadInput
from trainwright.plan import rates
from trainwright.plan.devices import CPU_CORE, DEFAULT_GPU, GPUS, PRICE_SOURCE, Device, gpu_named
from trainwright.plan.values import Machine

PRODUCT_LABEL = "nvidia.com/gpu.product"
ASSUMED_CORES = 4.0
"""Cores of a pod whose `resources.cpu` is absent."""
SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
BINARY_SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}


def cluster_machine(spec: Spec, *, gpu: str | None = None, price: float | None = None) -> Machine:
    """The machines that `spec.cluster` asks for; `gpu` and `price` (USD an hour and device) win over what it says.

    Raises:
        BadInput: `gpu` is no device of the table.
    """
    cluster = spec.cluster
    device, notes = _device(spec, gpu)
    cores, assumed = _cores(cluster.stages)
    if assumed:
        notes.append(
            f"{ASSUMED_CORES:g} cores are assumed for each pod of {', '.join(assumed)}: "
            "set cluster.stages.STAGE.resources.cpu"
        )
    per_node = cluster.gpus_per_node or 1
    return Machine(
        name=f"{'the cluster: ' if cluster.gpus_per_node else ''}{cluster.nodes} × {per_node} {device.name}",
        device=device,
        devices=cluster.nodes * per_node,
        device_memory_bytes=device.memory_bytes or _memory(spec),
        cores=cores,
        machines=cluster.stages.prepare.shards or 1,
        price_per_device_hour=device.price_per_hour if price is None else price,
        price_basis=PRICE_SOURCE if price is None else "--price",
        notes=tuple(notes),
    )


def chosen_gpu(name: str) -> Device:
    """The GPU that `--gpu` names.

    Raises:
        BadInput: it is not in the table.
    """
    device = gpu_named(name)
    if device is None:
        raise BadInput(f"--gpu {name}: not in the table of devices", hint=f"one of {', '.join(g.name for g in GPUS)}")
    return device


def quantity(value: int | str) -> float:
    """Read a Kubernetes quantity (8, 500m, 64Gi) as a number."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)", str(value))
    if match is None:
        raise BadInput(f"{value!r} is no quantity", hint="write 8, 500m or 64Gi")
    number, suffix = match.groups()
    return float(number) * (SUFFIXES | BINARY_SUFFIXES | {"": 1})[suffix]


def _cores(stages: Stages) -> tuple[dict[str, float], list[str]]:
    """Cores of all pods of each stage over rows, and the stages for which they are assumed."""
    cores, assumed = {}, []
    for name in rates.CPU_US_PER_EXCHANGE:
        settings: StageSettings = getattr(stages, name)
        cpu = settings.resources.cpu
        if cpu is None:
            assumed.append(name)
        cores[name] = (settings.shards or 1) * (ASSUMED_CORES if cpu is None else quantity(cpu))
    return cores, assumed


def _device(spec: Spec, gpu: str | None) -> tuple[Device, list[str]]:
    """The device to train on, and what was assumed about it."""
    if gpu is not None:
        return chosen_gpu(gpu), []
    if spec.cluster.gpus_per_node == 0:
        return CPU_CORE, ["cluster.gpusPerNode is 0: one training process on one core of each node"]
    label = (spec.cluster.stages.train.node_selector or spec.cluster.node_selector).get(PRODUCT_LABEL)
    known = gpu_named(label) if label else None
    if known is not None:
        return known, []
    why = f"{label} is not in the table" if label else f"nodeSelector has no {PRODUCT_LABEL}"
    return chosen_gpu(DEFAULT_GPU), [f"{DEFAULT_GPU} is assumed: {why}; name the GPU with --gpu"]


def _memory(spec: Spec) -> int | None:
    memory = spec.cluster.stages.train.resources.memory
    return None if memory is None else int(quantity(memory))
