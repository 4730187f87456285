"""The command lines of the control plane's programs. In: folder, addresses and files. Out: lists of flags.

The programs run with their own defaults wherever possible, so that what passes here passes elsewhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "127.0.0.1"
# A range that is set aside for benchmarks, so that no address in it is anybody's.
SERVICES = "198.19.0.0/16"
SERVICE_HOSTS = ("198.19.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
ISSUER = "https://kubernetes.default.svc.cluster.local"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KWOK = "kwok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where things are: the cluster's folder, and what was written into it."""

    folder: Path
    authority: Path
    certificate: tuple[Path, Path]
    tokens: tuple[Path, Path]
    audit_log: Path

    def kubeconfig(self, user: str) -> str:
        """The kubeconfig of one of the programs."""
        return str(self.folder / f"{user}.kubeconfig")


def etcd_flags(files: Files, clients: str, peers: str) -> list[str]:
    """Everything is lost when the cluster stops, so nothing needs to reach the disk."""
    return [
        f"--data-dir={files.folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_flags(files: Files, etcd: str, port: int) -> list[str]:
    """Default admission (Pod Security and quotas included), RBAC, tokens, and a log of requests but system reads."""
    policy = files.folder / "audit-policy.json"
    policy.write_text(json.dumps(_audit_policy()))
    return [
        f"--etcd-servers={etcd}",
        f"--bind-address={ADDRESS}",
        f"--advertise-address={ADDRESS}",
        f"--secure-port={port}",
        # Endpoints cannot have a loopback address, and nothing here reaches the server through its Service.
        "--endpoint-reconciler-type=none",
        f"--cert-dir={files.folder}",
        f"--tls-cert-file={files.certificate[0]}",
        f"--tls-private-key-file={files.certificate[1]}",
        f"--client-ca-file={files.authority}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={files.tokens[0]}",
        f"--service-account-signing-key-file={files.tokens[1]}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={files.audit_log}",
        "--audit-log-maxsize=10000",
    ]


def controller_manager_flags(files: Files) -> list[str]:
    """All default controllers, each with the rights of a ServiceAccount of its own, as in a managed cluster."""
    return [
        f"--kubeconfig={files.kubeconfig(CONTROLLER_MANAGER)}",
        f"--service-account-private-key-file={files.tokens[1]}",
        f"--root-ca-file={files.authority}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
    ]


def scheduler_flags(files: Files) -> list[str]:
    """The default scheduler."""
    return [f"--kubeconfig={files.kubeconfig(SCHEDULER)}", "--leader-elect=false", "--secure-port=0"]


def kwok_flags(files: Files, config: Path, managed: str) -> list[str]:
    """KWOK for the nodes with the annotation."""
    return [
        f"--kubeconfig={files.kubeconfig(KWOK)}",
        f"--config={config}",
        f"--manage-nodes-with-annotation-selector={managed}=fake",
        "--node-ip=198.18.0.1",
        "--cidr=198.18.128.0/17",
        "--node-lease-duration-seconds=40",
    ]


def _audit_policy() -> dict[str, object]:
    system = ["system:apiserver", f"system:{CONTROLLER_MANAGER}", f"system:{SCHEDULER}", KWOK]
    reads = ["get", "list", "watch"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*", "/openapi*", "/version"]},
            {"level": "None", "users": system, "verbs": reads},
            {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"], "verbs": reads},
            {
                "level": "None",
                "users": system,
                "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
            },
            {"level": "Metadata"},
        ],
    }
