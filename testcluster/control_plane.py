"""A control plane on loopback: etcd, API server, controller manager, scheduler and KWOK, and all of it gone again.

    with ControlPlane() as cluster:
        cluster.kubectl("get", "nodes")

Its state is a folder of its own under the cache, gone when it is stopped. If the process that started it dies, its
processes die too, and the next start removes the folder. No container, network namespace or interface is made.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import TracebackType

from testcluster import programs
from testcluster.api import STRATEGIC, Api, ApiError, Object
from testcluster.certificates import Authority, write_kubeconfig, write_signing_key
from testcluster.flags import (
    ADDRESS,
    CONTROLLER_MANAGER,
    KWOK,
    SCHEDULER,
    SERVICE_HOSTS,
    Files,
    apiserver_flags,
    controller_manager_flags,
    etcd_flags,
    kwok_flags,
    scheduler_flags,
)
from testcluster.folders import own_folder
from testcluster.kubectl import TEST_CLUSTER, Kubectl
from testcluster.nodes import CPU_POOL, GPU_POOL, MANAGED, Pool, node_manifests, write_kwok_config
from testcluster.pods import Fate, Player, Script
from testcluster.processes import Process, free_port
from testcluster.volumes import Provisioner, storage_class_manifests

# The programs that are clients of the API server, and the groups of their users.
USERS = {CONTROLLER_MANAGER: [], SCHEDULER: [], KWOK: ["system:masters"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a test may want otherwise; flags are added to a program's own and win over them."""

    pools: Sequence[Pool] = (CPU_POOL, GPU_POOL)
    apiserver_flags: Sequence[str] = ()
    controller_flags: Sequence[str] = ()
    scheduler_flags: Sequence[str] = ()
    default_fate: Script = lambda pod: Fate()


class ControlPlane:
    """One cluster; `start` gives it a folder, an address, `kubeconfig`, `kubectl`, `api` and `pods`.

    Programs that are missing are built first, which takes minutes; `tell` gets a line for each.
    """

    def __init__(self, options: Options | None = None, *, tell: Callable[[str], None] = lambda line: None) -> None:
        self.options = options or Options()
        self.programs = programs.build(tell=tell)
        self._processes: dict[str, Process] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> ControlPlane:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, *, timeout_s: float = 60) -> None:
        """Start everything and return when pods can be scheduled. Raises: RuntimeError with the log of what failed."""
        deadline = time.monotonic() + timeout_s
        with self._stack:
            self.folder = self._stack.enter_context(own_folder(programs.cache_folder() / "clusters"))
            self._stack.callback(self._kill)
            self._prepare()
            for name in ("etcd", "kube-apiserver"):
                self._processes[name].start()
            self._wait(self._answers, "the API server", deadline)
            for name in USERS:
                self._processes[name].start()
            self._furnish()
            self._wait(self._settled, "nodes and ServiceAccounts", deadline)
            self.pods.start()
            self._volumes.start()
            self._stack = self._stack.pop_all()

    def stop(self) -> None:
        """Stop everything and remove the folder."""
        self._stack.close()

    def kubeconfig_of(self, namespace: str, service_account: str, *, expires_s: int = 3600) -> Path:
        """Write and return the kubeconfig of a ServiceAccount, with a token made now."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        asked = {"spec": {"expirationSeconds": expires_s}}
        token = self.api.post(path, asked)["status"]["token"]
        file = self.folder / f"{namespace}.{service_account}.kubeconfig"
        return write_kubeconfig(file, self.server, self.authority, token=token)

    def stop_apiserver(self, *, kill: bool = True) -> None:
        """Take the API server away: at once, or with its own orderly end (some seconds)."""
        self._processes["kube-apiserver"].stop(signal.SIGKILL if kill else signal.SIGTERM)

    def start_apiserver(self, *, timeout_s: float = 60) -> None:
        """Bring it back at the same address, and return when it answers."""
        self._processes["kube-apiserver"].start()
        self._wait(self._answers, "the API server", time.monotonic() + timeout_s)

    def lose_node(self, name: str) -> None:
        """Let a node fall silent: not ready, tainted by Kubernetes, and its pods stay as they are."""
        self.pods.lose(name)
        self.api.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": {MANAGED: "lost"}}})
        silent = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        self.api.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [silent]}}, kind=STRATEGIC)

    def find_node(self, name: str) -> None:
        """Let a lost node come back."""
        self.api.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": {MANAGED: "fake"}}})
        self.pods.lose(name, lost=False)

    def audit_events(self, *, since: int = 0) -> tuple[list[Object], int]:
        """Return the requests logged from a place in the log on, and the place to go on from (Kubernetes' own too)."""
        with self.audit_log.open("rb") as log:
            log.seek(since)
            lines = [line for line in log if line.endswith(b"\n")]
        return [json.loads(line) for line in lines], since + sum(map(len, lines))

    def process_ids(self) -> dict[str, int]:
        """The ids of the processes that run now."""
        return {name: process.pid for name, process in self._processes.items() if process.pid is not None}

    def _prepare(self) -> None:
        authority = Authority(self.folder)
        port = free_port()
        self.server = f"https://{ADDRESS}:{port}"
        self.authority = authority.certificate
        self.audit_log = self.folder / "audit.log"
        admin = authority.issue("admin", "admin", groups=["system:masters"])
        self.kubeconfig = write_kubeconfig(self.folder / "kubeconfig", self.server, self.authority, certificate=admin)
        self.kubectl = Kubectl(self.programs["kubectl"], self.kubeconfig)
        self.api = Api(self.server, self.authority, certificate=admin)
        self.pods = Player(self.api, default=self.options.default_fate)
        self._volumes = Provisioner(self.api)
        for user, groups in USERS.items():
            issued = authority.issue(user, user if groups else f"system:{user}", groups=groups)
            write_kubeconfig(self.folder / f"{user}.kubeconfig", self.server, self.authority, certificate=issued)
        files = Files(
            folder=self.folder,
            authority=self.authority,
            certificate=authority.issue("apiserver", "kube-apiserver", hosts=(ADDRESS, "localhost", *SERVICE_HOSTS)),
            tokens=write_signing_key(self.folder, "tokens"),
            audit_log=self.audit_log,
        )
        self._add_processes(files, port)

    def _add_processes(self, files: Files, port: int) -> None:
        options = self.options
        etcd, peers = (f"http://{ADDRESS}:{free_port()}" for _ in range(2))
        config = write_kwok_config(self.folder / "kwok.yaml")
        arguments = {
            "etcd": etcd_flags(files, etcd, peers),
            "kube-apiserver": [*apiserver_flags(files, etcd, port), *options.apiserver_flags],
            CONTROLLER_MANAGER: [*controller_manager_flags(files), *options.controller_flags],
            SCHEDULER: [*scheduler_flags(files), *options.scheduler_flags],
            KWOK: kwok_flags(files, config, MANAGED),
        }
        home = {"HOME": str(self.folder)}
        for name, flags in arguments.items():
            self._processes[name] = Process(name, self.programs[name], flags, folder=self.folder, environment=home)

    def _furnish(self) -> None:
        mark = {"metadata": {"labels": {TEST_CLUSTER: "true"}}}
        self._wait(
            lambda: bool(self.api.patch("/api/v1/namespaces/kube-system", mark)), "kube-system", time.monotonic() + 20
        )
        for manifest in node_manifests(self.options.pools):
            self.api.post("/api/v1/nodes", manifest)
        for manifest in storage_class_manifests():
            self.api.post("/apis/storage.k8s.io/v1/storageclasses", manifest)

    def _answers(self) -> bool:
        self.api.call("GET", "/readyz")
        return True

    def _settled(self) -> bool:
        self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        nodes = self.api.get("/api/v1/nodes")["items"]
        return all(map(_ready, nodes))

    def _wait(self, holds: Callable[[], bool], what: str, deadline: float) -> None:
        while time.monotonic() < deadline:
            for process in self._processes.values():
                process.check()
            with contextlib.suppress(OSError, HTTPException, ApiError):
                if holds():
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{what} of the test cluster did not get ready in time; logs: {self.folder}")

    def _kill(self) -> None:
        # Nothing of it is kept, so nothing needs an orderly end.
        for played in (self.pods, self._volumes):
            played.stop()
        for process in reversed(self._processes.values()):
            process.stop()
        self.api.close()
        for played in (self.pods, self._volumes):
            played.join()


def _ready(node: Object) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
