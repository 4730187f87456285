"""How the operator is set up: the environment of its container, read here and nowhere else.

The chart and manifests/operator.yaml set these variables; every one has a default that holds for a test on one machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

AccessMode = Literal["ReadWriteOnce", "ReadWriteMany"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Values of the chart, as the operator sees them."""

    namespace: str = "trainwright-system"
    """Where the operator itself lives: its Lease, its certificate."""
    watched: tuple[str, ...] = ()
    """Namespaces whose runs it serves; empty: all."""
    trainer_image: str = "ghcr.io/trainwright/trainer:0.1.0"
    """Image of every stage, unless a run names another."""
    weaviate_image: str = "cr.weaviate.io/semitechnologies/weaviate:1.35.2"
    """Image of the vector store of a run."""
    access_mode: AccessMode | None = None
    """Of workspaces; None: ReadWriteMany exactly if pods of the run may land on several nodes."""
    progress_url: str | None = None
    """Address under which pods reach the operator, https://…; None: pods do not report."""
    progress_port: int = 8443
    """Port of the progress server."""
    metrics_port: int = 8080
    """Port of /metrics and /healthz."""
    lease: str = "trainwright-operator"
    """Name of the Lease that guards the overlap of two operators."""
    lease_seconds: float = 15.0
    """Without renewal for so long another operator may take over (client-go's default)."""
    identity: str = "trainwright-operator"
    """Holder of the Lease: the pod's name."""
    resync_seconds: float = 300.0
    """Every run is looked at again after so long, whatever the watches said."""
    pod_uid: int | None = None
    """User id of stage pods; None: the image's."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; absent variables keep their defaults."""
    usual = Settings()

    def text(name: str, default: str) -> str:
        return environment.get(f"TRAINWRIGHT_{name}") or default

    access = environment.get("TRAINWRIGHT_ACCESS_MODE") or None
    if access not in (None, "ReadWriteOnce", "ReadWriteMany"):
        raise SystemExit(f"TRAINWRIGHT_ACCESS_MODE is {access!r}: ReadWriteOnce or ReadWriteMany is meant")
    user = environment.get("TRAINWRIGHT_POD_UID")
    return Settings(
        namespace=text("NAMESPACE", usual.namespace),
        watched=tuple(name for name in environment.get("TRAINWRIGHT_WATCHED", "").split(",") if name),
        trainer_image=text("TRAINER_IMAGE", usual.trainer_image),
        weaviate_image=text("WEAVIATE_IMAGE", usual.weaviate_image),
        access_mode=access,  # type: ignore[arg-type]  # checked above
        progress_url=environment.get("TRAINWRIGHT_PROGRESS_URL") or None,
        progress_port=int(text("PROGRESS_PORT", str(usual.progress_port))),
        metrics_port=int(text("METRICS_PORT", str(usual.metrics_port))),
        lease=text("LEASE", usual.lease),
        lease_seconds=float(text("LEASE_SECONDS", str(usual.lease_seconds))),
        identity=text("IDENTITY", usual.identity),
        resync_seconds=float(text("RESYNC_SECONDS", str(usual.resync_seconds))),
        pod_uid=int(user) if user else None,
    )
