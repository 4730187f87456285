"""What all children of a run share: owner, labels, and what a builder must know of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainwright.api import Spec

from trainwright_operator import names
from trainwright_operator.settings import Settings

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The run whose children are made."""

    name: str
    namespace: str
    uid: str
    spec: Spec
    labels: Mapping[str, str]
    """The run's own."""
    image: str
    """Trainer image, pinned at the first start."""
    settings: Settings

    @property
    def queue(self) -> str | None:
        """Kueue's LocalQueue, if the run is queued."""
        return self.spec.cluster.queue_name or self.labels.get(names.QUEUE)

    @property
    def service_account(self) -> str:
        """Under which its pods work."""
        return self.spec.cluster.service_account_name or names.service_account(self.name)

    def metadata(self, name: str, **labels: str) -> Manifest:
        """Metadata of a child: owned by the run, so that it goes with it."""
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": self.child_labels(**labels),
            "ownerReferences": [
                {
                    "apiVersion": f"{names.GROUP}/{names.VERSION}",
                    "kind": names.KIND,
                    "name": self.name,
                    "uid": self.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        }

    def child_labels(self, **labels: str) -> dict[str, str]:
        """Labels by which children are found."""
        return {
            "app.kubernetes.io/managed-by": "trainwright",
            names.RUN: self.name,
            names.RUN_UID: self.uid,
            **labels,
        }
