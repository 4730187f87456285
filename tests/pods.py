"""Pods of a run as plain processes: the command, the environment and the files that the operator gives them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainwright import artifacts
from trainwright.api import load_run, resolve
from trainwright.contract import PodReport, RunConfig

ROOT = Path(__file__).parents[1]
UID = "8d1f7c1e-6a55-4f0e-9a43-2f0d3f6c9b11"
DATA = "weights,ingest,prepare,tokenize,preflight"
FINISH = "evaluate,export,report"


@dataclass(slots=True, kw_only=True)
class Workspace:
    """A claim with one run in it."""

    folder: Path
    config: RunConfig
    variables: dict[str, str] = field(default_factory=dict)
    """Given to all pods."""

    @property
    def run_folder(self) -> Path:
        """What belongs to the run alone."""
        return self.config.folder

    def keys(self) -> dict[str, str]:
        """The pinned key of each stage."""
        pins = json.loads((self.run_folder / "keys.json").read_text("utf-8"))
        return {stage: pin["key"] for stage, pin in pins.items()}

    def output(self, stage: str) -> Path:
        """The folder of a stage's output."""
        return artifacts.folder_of(self.config.workdir, stage, self.keys()[stage])

    def start(self, name: str, stages: str, *, attempt: int = 1, **variables: str) -> RunningPod:
        """Start a pod."""
        told = self.folder / f"{name}.termination"
        environment = dict(os.environ) | {
            "PYTHONPATH": str(ROOT / "trainer_image"),
            "TRAINWRIGHT_RUN_CONFIG": str(self.folder / "etc" / "run.json"),
            "TRAINWRIGHT_TERMINATION_LOG": str(told),
            "TRAINWRIGHT_POD": name,
            "TRAINWRIGHT_ATTEMPT": str(attempt),
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainwright", "pod", stages],
                env=environment | self.variables | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return RunningPod(name=name, process=process, told=told, log=self.folder / f"{name}.log")

    def start_gang(self, attempt: int = 1, nodes: int = 2, **variables: str) -> list[RunningPod]:
        """Start the pods of a gang on this machine, one rank of one thread each."""
        gang = {
            "PET_NNODES": str(nodes),
            "PET_NPROC_PER_NODE": "1",
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(_free_port()),
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
        }
        return [
            self.start(
                f"train-{attempt}-{node}", "train", attempt=attempt, PET_NODE_RANK=str(node), **gang, **variables
            )
            for node in range(nodes)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPod:
    """A pod's PID 1."""

    name: str
    process: subprocess.Popen[bytes]
    told: Path
    log: Path

    def wait(self, limit_s: float = 300.0) -> tuple[int, PodReport]:
        """Its exit code and termination message."""
        try:
            code = self.process.wait(limit_s)
        finally:
            self.process.kill()
        text = self.told.read_text("utf-8") if self.told.exists() else "{}"
        assert len(text.encode()) <= 4096
        return code, PodReport.model_validate_json(text)

    def ranks(self) -> list[int]:
        """Process ids of its children that are stages."""
        return list(_children(self.process.pid))

    def stop(self) -> None:
        """As the kubelet does."""
        self.process.send_signal(signal.SIGTERM)

    def words(self) -> str:
        """Its log, for messages of tests."""
        return self.log.read_text("utf-8", "replace")[-6000:]


def workspace(folder: Path, run_file: Path, *, variables: Mapping[str, str] | None = None) -> Workspace:
    """What the operator makes before the first pod; `./` is where the run's file lies."""
    document = load_run(run_file)
    claim = folder / "workspace"
    (folder / "etc").mkdir(parents=True)
    claim.mkdir()
    config = RunConfig(
        name=document.metadata.name,
        spec=resolve(document.spec),
        workdir=claim,
        run_folder=claim / "runs" / UID,
        base_folder=run_file.parent,
        workdir_uri="pvc://small-workspace",
    )
    (folder / "etc" / "run.json").write_text(config.model_dump_json(by_alias=True, exclude_none=True), "utf-8")
    return Workspace(folder=folder, config=config, variables=dict(variables or {}))


def wait_for(condition: Callable[[], Any], pod: RunningPod, limit_s: float = 120.0) -> None:
    """Wait until something holds while a pod is at work."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert pod.process.poll() is None, pod.words()
        assert time.monotonic() < deadline, pod.words()
        time.sleep(0.05)


def _children(parent: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            yield int(path.parent.name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
