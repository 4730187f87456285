"""What every run has: its settings as run.json, its claim, an account without rights, and a network policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainwright.api import resolve
from trainwright.contract import RunConfig

from trainwright_operator import names
from trainwright_operator.manifests.owner import Manifest, Owner
from trainwright_operator.manifests.pod import MOUNTS, WORKSPACE, claims_of, workspace_claim

WORKSPACE_BYTES = "20Gi"
"""Size of the run's own claim where none is given: data, tokens, three checkpoints and the export of a small model."""


def run_objects(owner: Owner, *, certificate: str | None) -> Iterator[Manifest]:
    """The objects that must be there before the first pod."""
    if owner.spec.cluster.service_account_name is None:
        yield _service_account(owner)
    yield _run_config(owner, certificate)
    workspace = owner.spec.cluster.workspace
    if workspace.claim_name is None and workspace.uri is None:
        yield _claim(owner)
    yield _network_policy(owner)


def needs_many_nodes(owner: Owner) -> bool:
    """Whether pods of the run may need the workspace on several nodes at once."""
    return owner.spec.cluster.nodes > 1 or owner.spec.vector_store.enabled


def _service_account(owner: Owner) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": owner.metadata(names.service_account(owner.name)),
        "automountServiceAccountToken": False,
    }


def _run_config(owner: Owner, certificate: str | None) -> Manifest:
    config = RunConfig(
        name=owner.name,
        spec=resolve(owner.spec),
        workdir=Path(WORKSPACE),
        workdir_uri=f"pvc://{workspace_claim(owner)}",
        run_folder=Path(WORKSPACE) / "runs" / owner.uid,
        base_folder=Path(WORKSPACE),
        mounts={claim: Path(MOUNTS) / claim for claim in claims_of(owner.spec)},
    )
    data = {names.RUN_FILE: config.model_dump_json(by_alias=True, exclude_none=True), names.IMAGE_KEY: owner.image}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(names.run_config(owner.name)),
        "data": data | ({"ca.crt": certificate} if certificate else {}),
    }


def _claim(owner: Owner) -> Manifest:
    workspace = owner.spec.cluster.workspace
    mode = owner.settings.access_mode or ("ReadWriteMany" if needs_many_nodes(owner) else "ReadWriteOnce")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": owner.metadata(names.workspace(owner.name)),
        "spec": {
            "accessModes": [mode],
            "resources": {"requests": {"storage": str(workspace.storage or WORKSPACE_BYTES)}},
            **({"storageClassName": workspace.storage_class_name} if workspace.storage_class_name else {}),
        },
    }


def _network_policy(owner: Owner) -> Manifest:
    """In: only pods of the run. Out: names, the run's own pods, and the ports of stores, hubs and the operator."""
    own = {"podSelector": {"matchLabels": {names.RUN_UID: owner.uid}}}
    ports = sorted({443, 9000, owner.settings.progress_port})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owner.metadata(names.network_policy(owner.name)),
        "spec": {
            "podSelector": {"matchLabels": {names.RUN_UID: owner.uid}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [own]}],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
                {"to": [own]},
                {"ports": [{"port": port, "protocol": "TCP"} for port in ports]},
            ],
        },
    }
