"""Specs, facts and machines for tests of the plan."""

from __future__ import annotations

from typing import Any

from trainwright import models
from trainwright.api import Spec, resolve
from trainwright.plan import Facts, Machine, SourceFacts
from trainwright.plan.devices import CPU_CORE
from trainwright.plan.machines import chosen_gpu
from trainwright.plan.rates import CPU_US_PER_EXCHANGE
from trainwright.plan.shape import Shape, shape_of

GB = 10**9


def spec(**groups: Any) -> Spec:
    """A resolved spec that trains Llama 3.2 3B from scratch on one source, with other groups by their YAML names."""
    base: dict[str, Any] = {
        "model": {"scratch": {"preset": "llama-3.2-3b"}, "tokenizer": {"from": "hf://meta-llama/Llama-3.2-3B"}},
        "data": {"sources": [{"uri": "s3://corpus/*.parquet"}]},
    }
    return resolve(Spec.model_validate(base | groups))


def shape(preset: str = "llama-3.2-3b") -> Shape:
    """The shape of a preset."""
    config = models.PRESETS[preset]
    return shape_of(config, models.parameter_count(config))


def facts(**known: Any) -> Facts:
    """Facts of a run with 1,000,000 exchanges in one source and the shape of Llama 3.2 3B."""
    usual = {
        "shape": shape(),
        "shape_basis": "preset llama-3.2-3b",
        "sources": (SourceFacts(name="s3://corpus/*.parquet", limit=1_000_000),),
    }
    return Facts(**(usual | known))


def gpus(count: int = 8, kind: str = "A100-80GB", **changes: Any) -> Machine:
    """GPUs of one kind."""
    device = chosen_gpu(kind)
    usual = {
        "name": f"{count} × {kind}",
        "device": device,
        "devices": count,
        "device_memory_bytes": device.memory_bytes,
        "cores": dict.fromkeys(CPU_US_PER_EXCHANGE, 16.0),
        "price_per_device_hour": device.price_per_hour,
        "price_basis": "example",
    }
    return Machine(**(usual | changes))


def laptop(**changes: Any) -> Machine:
    """Two cores with 16 GB."""
    usual = {
        "name": "this machine",
        "device": CPU_CORE,
        "devices": 2,
        "device_memory_bytes": 8 * GB,
        "cores": dict.fromkeys(CPU_US_PER_EXCHANGE, 2.0),
        "free_bytes": 100 * GB,
    }
    return Machine(**(usual | changes))
