"""The headless Service by which the pods of a training gang find each other."""

from __future__ import annotations

from trainwright_operator import names
from trainwright_operator.manifests.owner import Manifest, Owner


def gang_service(owner: Owner) -> Manifest:
    """One for all attempts: the attempt is in the pods' names. Pods that are not ready are listed too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(names.gang(owner.name)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.RUN_UID: owner.uid, names.JOB_GROUP: "train"},
            "ports": [{"name": "rendezvous", "port": names.MASTER_PORT}],
        },
    }
