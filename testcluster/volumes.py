"""The volumes of a test cluster: two StorageClasses and the provisioner that makes a PersistentVolume for each claim.

`shared` (the default) gives every access mode and waits for the first pod, as most clouds do; `single` refuses
ReadWriteMany with an Event, as block storage does. Nothing is ever stored.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http.client import HTTPException

from testcluster.api import Api, ApiError, Object

PROVISIONER = "testcluster/volumes"
SHARED = "shared"
SINGLE = "single"
CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
NODE_CHOSEN = "volume.kubernetes.io/selected-node"
LOG = logging.getLogger(__name__)


def storage_class_manifests() -> list[Object]:
    """Return the two StorageClasses."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": str(name == SHARED).lower()},
            },
            "provisioner": PROVISIONER,
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        }
        for name in (SHARED, SINGLE)
    ]


class Provisioner:
    """Makes and removes volumes from `start` to `stop`, in two threads of this process."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, with the claims that are there already."""
        follow = ((CLAIMS, self._provide), (VOLUMES, self._remove))
        self._threads = [threading.Thread(target=self._follow, args=one, daemon=True) for one in follow]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; volumes stay as they are."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for its threads, which end with their connections."""
        for thread in self._threads:
            thread.join()

    def _follow(self, path: str, act: Callable[[Object], None]) -> None:
        for kind, found in self._api.follow(path, self._stopping):
            try:
                if kind != "DELETED":
                    act(found)
            except ApiError as error:
                if error.status not in (404, 409):
                    LOG.warning("a volume could not be made or removed: %s", error)
            except (OSError, HTTPException):
                # The API server is away; the list that follows brings the object again.
                continue

    def _provide(self, claim: Object) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        if claim["status"].get("phase") != "Pending" or spec.get("storageClassName") not in (SHARED, SINGLE):
            return
        if NODE_CHOSEN not in metadata.get("annotations", {}):
            return
        if spec["storageClassName"] == SINGLE and "ReadWriteMany" in spec["accessModes"]:
            self._refuse(claim)
            return
        self._api.post(VOLUMES, _volume(claim))

    def _refuse(self, claim: Object) -> None:
        metadata = claim["metadata"]
        kept = ("name", "namespace", "uid", "resourceVersion")
        about = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"} | {key: metadata[key] for key in kept}
        event = {
            "metadata": {"name": f"{metadata['name']}.{metadata['uid']}", "namespace": metadata["namespace"]},
            "involvedObject": about,
            "reason": "ProvisioningFailed",
            "message": "failed to provision volume: access mode ReadWriteMany is not supported",
            "type": "Warning",
            "source": {"component": PROVISIONER},
            "count": 1,
        }
        self._api.post(f"/api/v1/namespaces/{metadata['namespace']}/events", event)

    def _remove(self, volume: Object) -> None:
        if volume["status"].get("phase") == "Released":
            self._api.delete(f"{VOLUMES}/{volume['metadata']['name']}")


def _volume(claim: Object) -> Object:
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            # Kubernetes would look for a plugin that deletes the volume; the provisioner does it instead.
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": spec["storageClassName"],
            "nfs": {"server": "198.18.0.1", "path": f"/{name}"},
        },
    }
