"""The pod of a stage: everything that Pod Security *restricted* asks for, and every `cluster` field that concerns pods.

The root file system is read-only; home, caches and temporary files lie in an emptyDir, so that any user id can run it.
"""

from __future__ import annotations

from collections.abc import Iterator

from trainwright.api import Spec
from trainwright.api.cluster import Toleration

from trainwright_operator import names
from trainwright_operator.groups import JobGroup
from trainwright_operator.manifests import resources
from trainwright_operator.manifests.owner import Manifest, Owner

WORKSPACE, MOUNTS, CONFIG, SCRATCH, IDENTITY = "/workspace", "/mnt", "/etc/trainwright", "/scratch", "/run/trainwright"
GRACE_S = 120
"""Seconds between SIGTERM and SIGKILL: a checkpoint of a few GB is written in it."""
UNREACHABLE_S = 30
"""How long a pod stays on a node that does not answer."""
TOKEN_SECONDS = 3600
NETWORK_DEVICES = {
    "tcp": {},
    "efa": {"vpc.amazonaws.com/efa": "1"},
    "infiniband": {"rdma/hca": "1"},
    "gke": {},
}
"""Extended resources of each network profile, per pod of the gang."""


def pod_template(owner: Owner, group: JobGroup, attempt: int, *, command: list[str], extra_env: Manifest) -> Manifest:
    """The template of a group's pods."""
    cluster, stage = owner.spec.cluster, group.stages[0]
    settings = getattr(cluster.stages, stage)
    gpus = cluster.gpus_per_node if group.is_gang else settings.gpus or 0
    labels = {**cluster.labels, **owner.child_labels(), names.JOB_GROUP: group.name, names.ATTEMPT: str(attempt)}
    spec: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": owner.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": security_of_pod(owner),
        "containers": [_container(owner, group, command, gpus, extra_env)],
        "volumes": list(_volumes(owner, group)),
        "tolerations": [
            *(_toleration(each) for each in settings.tolerations or cluster.tolerations),
            *_unreachable(),
        ],
        "nodeSelector": dict(settings.node_selector or cluster.node_selector) or None,
        "imagePullSecrets": pull_secrets(owner) or None,
        "priorityClassName": cluster.priority_class_name,
        "runtimeClassName": cluster.runtime_class_name,
        "schedulerName": cluster.scheduler_name,
    }
    return {
        "metadata": {"labels": labels, "annotations": dict(cluster.annotations) or None},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def security_of_pod(owner: Owner) -> Manifest:
    """What *restricted* asks of a pod; files in volumes belong to the group of its user."""
    user = owner.settings.pod_uid
    own = {"runAsUser": user, "runAsGroup": user, "fsGroup": user} if user is not None else {"fsGroup": 1000}
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **own}


def security_of_container() -> Manifest:
    """What *restricted* asks of a container, and a root file system that cannot be written."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pull_secrets(owner: Owner) -> list[Manifest]:
    """For every pod of the run, the vector store's too."""
    return [{"name": secret.name} for secret in owner.spec.cluster.image_pull_secrets]


def _container(owner: Owner, group: JobGroup, command: list[str], gpus: int, extra_env: Manifest) -> Manifest:
    wanted = resources.of_stage(owner.spec, group.stages[0], gpus)
    if group.is_gang:
        for side in ("requests", "limits"):
            wanted[side] |= NETWORK_DEVICES[owner.spec.cluster.network]
    return {
        "name": names.CONTAINER,
        "image": owner.image,
        "command": command,
        "workingDir": SCRATCH,
        "env": list(_variables(owner, extra_env)),
        "envFrom": [{"secretRef": {"name": name}} for name in _secrets(owner.spec)],
        "resources": wanted,
        "securityContext": security_of_container(),
        "volumeMounts": list(_mounts(owner, group)),
        "terminationMessagePolicy": "File",
    }


def _variables(owner: Owner, extra: Manifest) -> Iterator[Manifest]:
    yield {"name": "TRAINWRIGHT_RUN_CONFIG", "value": f"{CONFIG}/{names.RUN_FILE}"}
    yield {"name": "TRAINWRIGHT_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    yield {"name": "HOME", "value": SCRATCH}
    yield {"name": "USER", "value": "trainwright"}
    yield {"name": "TMPDIR", "value": SCRATCH}
    yield {"name": "XDG_CACHE_HOME", "value": f"{SCRATCH}/cache"}
    yield {"name": "HF_HOME", "value": f"{SCRATCH}/hf"}
    yield {"name": "TORCHINDUCTOR_CACHE_DIR", "value": f"{SCRATCH}/inductor"}
    yield {"name": "TRITON_CACHE_DIR", "value": f"{SCRATCH}/triton"}
    yield {"name": "MPLCONFIGDIR", "value": f"{SCRATCH}/matplotlib"}
    for name, value in extra.items():
        yield {"name": name, "value": value} if isinstance(value, str) else {"name": name, "valueFrom": value}
    if owner.settings.progress_url is not None:
        url = f"{owner.settings.progress_url}/runs/{owner.namespace}/{owner.name}"
        for name, value in (
            ("TRAINWRIGHT_PROGRESS_URL", url),
            ("TRAINWRIGHT_PROGRESS_TOKEN", f"{IDENTITY}/token"),
            ("TRAINWRIGHT_PROGRESS_CA", f"{CONFIG}/ca.crt"),
            ("KUBEFLOW_TRAINER_SERVER_URL", f"{url}/status"),
            ("KUBEFLOW_TRAINER_SERVER_TOKEN", f"{IDENTITY}/token"),
            ("KUBEFLOW_TRAINER_SERVER_CA_CERT", f"{CONFIG}/ca.crt"),
        ):
            yield {"name": name, "value": value}
    for credential in owner.spec.cluster.credentials:
        if credential.endpoint is not None:
            yield {"name": "AWS_ENDPOINT_URL", "value": str(credential.endpoint)}
        if credential.ca_ref is not None:
            yield {"name": "AWS_CA_BUNDLE", "value": f"{CONFIG}-ca/{credential.ca_ref.name}/ca.crt"}
    for variable in owner.spec.cluster.env:
        if variable.secret_key_ref is not None:
            secret = {"name": variable.secret_key_ref.name, "key": variable.secret_key_ref.key}
            yield {"name": variable.name, "valueFrom": {"secretKeyRef": secret}}
        else:
            yield {"name": variable.name, "value": variable.value or ""}


def _secrets(spec: Spec) -> list[str]:
    """Secrets whose keys become variables, shortest prefix first: the last one named wins."""
    credentials = sorted(spec.cluster.credentials, key=lambda each: len(each.prefix))
    return [each.secret_ref.name for each in credentials if each.secret_ref is not None]


def claims_of(spec: Spec) -> list[str]:
    """Claims that the spec's URIs name, in the order of their names."""
    model, output = spec.model, spec.output
    uris = [source.uri for source in spec.data.sources]
    uris += [output.uri] if output else []
    if model is not None:
        uris += [model.from_ or "", (model.tokenizer.from_ if model.tokenizer else None) or ""]
        uris += [(model.scratch.config if model.scratch else None) or ""]
    uris += [spec.vector_store.embedding or "", spec.training.resume_from or ""]
    uris += [spec.data.prepare.offensive.lexicon or ""]
    return sorted({uri.removeprefix("pvc://").split("/")[0] for uri in uris if uri.startswith("pvc://")})


def workspace_claim(owner: Owner) -> str:
    """The claim that all stages share."""
    return owner.spec.cluster.workspace.claim_name or names.workspace(owner.name)


def _volumes(owner: Owner, group: JobGroup) -> Iterator[Manifest]:
    yield {"name": "workspace", "persistentVolumeClaim": {"claimName": workspace_claim(owner)}}
    yield {"name": "config", "configMap": {"name": names.run_config(owner.name)}}
    yield {"name": "scratch", "emptyDir": {}}
    for claim in claims_of(owner.spec):
        yield {"name": f"claim-{claim}", "persistentVolumeClaim": {"claimName": claim}}
    for credential in owner.spec.cluster.credentials:
        if credential.ca_ref is not None:
            yield {"name": f"ca-{credential.ca_ref.name}", "configMap": {"name": credential.ca_ref.name}}
    if group.is_gang:
        yield {"name": "shm", "emptyDir": {"medium": "Memory"}}
    if owner.settings.progress_url is not None:
        token = {
            "audience": names.audience(owner.namespace, owner.name, owner.uid),
            "expirationSeconds": TOKEN_SECONDS,
            "path": "token",
        }
        yield {"name": "identity", "projected": {"sources": [{"serviceAccountToken": token}]}}


def _mounts(owner: Owner, group: JobGroup) -> Iterator[Manifest]:
    yield {"name": "workspace", "mountPath": WORKSPACE}
    yield {"name": "config", "mountPath": CONFIG, "readOnly": True}
    yield {"name": "scratch", "mountPath": SCRATCH}
    yield {"name": "scratch", "mountPath": "/tmp", "subPath": "tmp"}
    for claim in claims_of(owner.spec):
        yield {"name": f"claim-{claim}", "mountPath": f"{MOUNTS}/{claim}"}
    for credential in owner.spec.cluster.credentials:
        if credential.ca_ref is not None:
            yield {
                "name": f"ca-{credential.ca_ref.name}",
                "mountPath": f"{CONFIG}-ca/{credential.ca_ref.name}",
                "readOnly": True,
            }
    if group.is_gang:
        yield {"name": "shm", "mountPath": "/dev/shm"}
    if owner.settings.progress_url is not None:
        yield {"name": "identity", "mountPath": IDENTITY, "readOnly": True}


def _toleration(toleration: Toleration) -> Manifest:
    return toleration.model_dump(by_alias=True, exclude_none=True)


def _unreachable() -> Iterator[Manifest]:
    for taint in ("not-ready", "unreachable"):
        yield {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": UNREACHABLE_S,
        }
