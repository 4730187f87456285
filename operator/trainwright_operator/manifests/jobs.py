"""The Job of one attempt of a group of stages; Indexed, one pod per node for the gang, else one.

A Job tries once (backoffLimit 0): whether to try again, with which settings, and who is charged, is decided above it.
Its `suspend` belongs to the queue.
"""

from __future__ import annotations

from typing import Any

from trainwright_operator import names
from trainwright_operator.groups import JobGroup
from trainwright_operator.manifests.owner import Manifest, Owner
from trainwright_operator.manifests.pod import pod_template


def job(owner: Owner, group: JobGroup, attempt: int, *, halvings: int, preflight: bool) -> Manifest:
    """The Job of attempt `attempt`; `preflight`: its last act is to try whether training can begin."""
    stages = [*group.stages, *(["preflight"] if preflight else [])]
    command = ["python", "-m", "trainwright", "pod", ",".join(stages)]
    environment: dict[str, Any] = {"TRAINWRIGHT_ATTEMPT": str(attempt)}
    if group.is_gang:
        environment |= _meeting_place(owner, group, attempt, halvings)
    if "index" in group.stages and owner.spec.vector_store.external is None:
        environment |= _vector_store(owner)
    labels = {names.JOB_GROUP: group.name, names.ATTEMPT: str(attempt)}
    metadata = owner.metadata(names.job(owner.name, group.name, attempt), **labels)
    if owner.queue is not None:
        metadata["labels"][names.QUEUE] = owner.queue
    template = pod_template(owner, group, attempt, command=command, extra_env=environment)
    count = owner.spec.cluster.nodes if group.is_gang else 1
    if group.is_gang:
        template["spec"]["subdomain"] = names.gang(owner.name)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": template,
        },
    }


def _meeting_place(owner: Owner, group: JobGroup, attempt: int, halvings: int) -> dict[str, Any]:
    """Rendezvous by the names torchrun knows; pod 0 of the attempt is where the ranks meet."""
    cluster = owner.spec.cluster
    first = names.job(owner.name, group.name, attempt) + "-0"
    index = f"metadata.annotations['{names.COMPLETION_INDEX}']"
    return {
        "TRAINWRIGHT_HALVINGS": str(halvings),
        "PET_NNODES": str(cluster.nodes),
        "PET_NPROC_PER_NODE": str(max(1, cluster.gpus_per_node)),
        "PET_NODE_RANK": {"fieldRef": {"fieldPath": index}},
        "PET_MASTER_ADDR": f"{first}.{names.gang(owner.name)}.{owner.namespace}.svc",
        "PET_MASTER_PORT": str(names.MASTER_PORT),
    }


def _vector_store(owner: Owner) -> dict[str, Any]:
    secret = names.weaviate_secret(owner.name, owner.uid)
    return {
        "WEAVIATE_URL": f"http://{names.weaviate(owner.name)}.{owner.namespace}.svc:{names.WEAVIATE_HTTP_PORT}",
        "WEAVIATE_GRPC_PORT": str(names.WEAVIATE_GRPC_PORT),
        "WEAVIATE_API_KEY": {"secretKeyRef": {"name": secret, "key": "apiKey"}},
    }
