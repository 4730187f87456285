"""Every name the operator gives: of objects, labels, ports and paths. A key is joined here or nowhere.

A run's name has at most 40 characters of a-z, 0-9 and '-' and begins with a letter, so that whatever is put behind it
is a valid name of a Service and a label too, and differs for different runs.
"""

from __future__ import annotations

GROUP = "trainwright.dev"
VERSION = "v1alpha1"
PLURAL = "trainingruns"
KIND = "TrainingRun"
FIELD_MANAGER = "trainwright-operator"

RUN = f"{GROUP}/run"
RUN_UID = f"{GROUP}/run-uid"
JOB_GROUP = f"{GROUP}/group"
ATTEMPT = f"{GROUP}/attempt"
QUEUE = "kueue.x-k8s.io/queue-name"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

CONTAINER = "stage"
MASTER_PORT = 29500
WEAVIATE_HTTP_PORT = 8080
WEAVIATE_GRPC_PORT = 50051
RUN_FILE = "run.json"
IMAGE_KEY = "image"


def job(run: str, group: str, attempt: int) -> str:
    """The Job of one attempt of a group; pods of an Indexed Job append -INDEX."""
    return f"{run}-{group}-{attempt}"


def run_config(run: str) -> str:
    """The ConfigMap with run.json."""
    return f"{run}-run"


def service_account(run: str) -> str:
    """The ServiceAccount of the run's pods, without any rights."""
    return f"{run}-run"


def network_policy(run: str) -> str:
    """The NetworkPolicy of the run's pods."""
    return f"{run}-run"


def workspace(run: str) -> str:
    """The run's own claim."""
    return f"{run}-workspace"


def gang(run: str) -> str:
    """The headless Service by which the gang's pods find each other."""
    return f"{run}-gang"


def weaviate(run: str) -> str:
    """StatefulSet and Service of the run's own vector store."""
    return f"{run}-weaviate"


def weaviate_secret(run: str, uid: str) -> str:
    """The Secret with the store's API key; the run's UID makes it one that is never taken over."""
    return f"{run}-weaviate-{uid[:8]}"


def audience(namespace: str, run: str, uid: str) -> str:
    """Audience of the tokens with which the pods of exactly one run report."""
    return f"{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{run}/{uid}/status"
