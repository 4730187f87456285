"""The run's own vector store: a Weaviate StatefulSet with its Service, claim and API key."""

from __future__ import annotations

from collections.abc import Iterator

from trainwright_operator import names
from trainwright_operator.manifests import resources
from trainwright_operator.manifests.owner import Manifest, Owner
from trainwright_operator.manifests.pod import pull_secrets, security_of_container, security_of_pod

DATA = "/var/lib/weaviate"
STORAGE = "10Gi"
"""Size of its claim where none is given: 1,000,000 exchanges of 384 dimensions take about 4 GB."""


def weaviate_secret(owner: Owner, api_key: str) -> Manifest:
    """The Secret with the API key; made once under a name that holds the run's UID, never changed."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owner.metadata(names.weaviate_secret(owner.name, owner.uid)),
        "type": "Opaque",
        "immutable": True,
        "stringData": {"apiKey": api_key},
    }


def weaviate_objects(owner: Owner, *, replicas: int) -> Iterator[Manifest]:
    """Service and StatefulSet; `replicas` 0 keeps the claim and ends the pods."""
    name = names.weaviate(owner.name)
    selector = {names.RUN_UID: owner.uid, names.JOB_GROUP: "weaviate"}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(name),
        "spec": {
            "selector": selector,
            "ports": [
                {"name": "http", "port": names.WEAVIATE_HTTP_PORT},
                {"name": "grpc", "port": names.WEAVIATE_GRPC_PORT},
            ],
        },
    }
    wanted = owner.spec.cluster.weaviate
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(wanted.storage or STORAGE)}},
        **({"storageClassName": wanted.storage_class_name} if wanted.storage_class_name else {}),
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": owner.metadata(name),
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": selector},
            "template": _template(owner, selector),
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": wanted.retention, "whenScaled": "Retain"},
            # Not named after the run alone: a run of the same name must never find another's vectors.
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": f"data-{owner.uid[:8]}", "labels": owner.child_labels()},
                    "spec": claim,
                }
            ],
        },
    }


def _template(owner: Owner, selector: dict[str, str]) -> Manifest:
    spec: Manifest = {
        "serviceAccountName": owner.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security_of_pod(owner),
        "imagePullSecrets": pull_secrets(owner) or None,
        "priorityClassName": owner.spec.cluster.priority_class_name,
        "containers": [_container(owner)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return {
        "metadata": {"labels": {**owner.spec.cluster.labels, **owner.child_labels(), **selector}},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def _container(owner: Owner) -> Manifest:
    secret = names.weaviate_secret(owner.name, owner.uid)
    probe = {"httpGet": {"path": "/v1/.well-known/ready", "port": names.WEAVIATE_HTTP_PORT}, "periodSeconds": 2}
    return {
        "name": "weaviate",
        "image": owner.settings.weaviate_image,
        "args": ["--host", "0.0.0.0", "--port", str(names.WEAVIATE_HTTP_PORT), "--scheme", "http"],
        "env": [
            {"name": "PERSISTENCE_DATA_PATH", "value": DATA},
            {"name": "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED", "value": "false"},
            {"name": "AUTHENTICATION_APIKEY_ENABLED", "value": "true"},
            {"name": "AUTHENTICATION_APIKEY_USERS", "value": "run"},
            {
                "name": "AUTHENTICATION_APIKEY_ALLOWED_KEYS",
                "valueFrom": {"secretKeyRef": {"name": secret, "key": "apiKey"}},
            },
            {"name": "DEFAULT_VECTORIZER_MODULE", "value": "none"},
            {"name": "DISABLE_TELEMETRY", "value": "true"},
            {"name": "CLUSTER_HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "ports": [{"containerPort": names.WEAVIATE_HTTP_PORT}, {"containerPort": names.WEAVIATE_GRPC_PORT}],
        "readinessProbe": probe,
        "resources": resources.both(resources.WEAVIATE),
        "securityContext": security_of_container(),
        "volumeMounts": [
            {"name": f"data-{owner.uid[:8]}", "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
