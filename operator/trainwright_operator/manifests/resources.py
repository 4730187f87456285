"""Requests and limits of every container. They are equal, so that a namespace with a quota on either takes the pods.

Defaults are small enough for a laptop's cluster; `cluster.stages.STAGE.resources` replaces them one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainwright.api import Spec

CPU_STAGE = {"cpu": "1", "memory": "4Gi", "ephemeral-storage": "4Gi"}
"""A stage without GPUs: preparation of 130,000 exchanges takes 0.5 GiB, loading a model of 135 M parameters 2 GiB."""
GPU_STAGE = {"cpu": "4", "memory": "32Gi", "ephemeral-storage": "8Gi"}
"""Per GPU of a pod: one process loads the weights into host memory first (3 B parameters in fp32: 13 GB)."""
WEAVIATE = {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "1Gi"}

Quantities = Mapping[str, str]


def of_stage(spec: Spec, stage: str, gpus: int) -> dict[str, Any]:
    """Requests and limits of a stage's container on a pod with so many GPUs."""
    asked = getattr(spec.cluster.stages, stage).resources
    usual = {name: _times(text, gpus) for name, text in GPU_STAGE.items()} if gpus else dict(CPU_STAGE)
    chosen = {
        "cpu": str(asked.cpu or usual["cpu"]),
        "memory": str(asked.memory or usual["memory"]),
        "ephemeral-storage": str(asked.ephemeral_storage or usual["ephemeral-storage"]),
    }
    if gpus:
        chosen[spec.cluster.gpu_resource] = str(gpus)
    return both(chosen)


def both(quantities: Quantities) -> dict[str, Any]:
    """The same as requests and as limits."""
    return {"requests": dict(quantities), "limits": dict(quantities)}


def _times(text: str, count: int) -> str:
    number = text.rstrip("KMGTPi")
    return f"{int(number) * count}{text[len(number) :]}"
