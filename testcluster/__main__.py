"""`python -m testcluster`: keep a test cluster running for a person, until it is taken down.

`up` leaves a process behind that owns the cluster; its kubeconfig, log and lock are in the cache folder. There, pods of
Jobs end well after two seconds, and other pods run; the annotation `testcluster/fate` says otherwise.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from testcluster import programs
from testcluster.api import Object
from testcluster.control_plane import ControlPlane, Options
from testcluster.pods import Fate

app = typer.Typer(add_completion=False, no_args_is_help=True, help="A Kubernetes control plane for tests.")
Names = Annotated[list[str] | None, typer.Argument(help="Programs; without any: those of the control plane.")]


@app.command()
def build(names: Names = None) -> None:
    """Build the programs that are missing, or the named ones."""
    unknown = set(names or ()) - programs.PROGRAMS.keys()
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not one of {', '.join(programs.PROGRAMS)}")
    for path in _build(names or programs.CONTROL_PLANE).values():
        typer.echo(path)


@app.command()
def up() -> None:
    """Build what is missing, start a cluster if none runs, and print how to use it."""
    _build(programs.CONTROL_PLANE)
    if _owner() is None:
        _state("kubeconfig").unlink(missing_ok=True)
        with _state("log").open("wb") as log:
            command = [sys.executable, "-m", "testcluster", "serve"]
            server = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not _state("kubeconfig").exists():
            if server.poll() is not None:
                raise typer.Exit(_complain(f"the cluster did not start:\n{_state('log').read_text()}"))
            time.sleep(0.1)
    typer.echo(f"export KUBECONFIG={_state('kubeconfig')}")


@app.command()
def down() -> None:
    """Stop the cluster that `up` started, if it runs."""
    owner = _owner()
    if owner is not None:
        os.kill(owner, signal.SIGTERM)
        while _owner() is not None:
            time.sleep(0.05)


@app.command()
def kubeconfig() -> None:
    """Print the path of the running cluster's kubeconfig."""
    if _owner() is None or not _state("kubeconfig").exists():
        raise typer.Exit(_complain("no test cluster runs: python -m testcluster up"))
    typer.echo(_state("kubeconfig"))


@app.command(hidden=True)
def serve() -> None:
    """Own a cluster until SIGTERM."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with _state("lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        with ControlPlane(Options(default_fate=_short)) as cluster:
            unfinished = _state("unfinished")
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(cluster.kubeconfig.read_bytes())
            unfinished.rename(_state("kubeconfig"))
            stopping.wait()
            _state("kubeconfig").unlink(missing_ok=True)


def _build(names: Sequence[str]) -> dict[str, Path]:
    try:
        return programs.build(names, tell=typer.echo)
    except programs.CannotBuild as error:
        raise typer.Exit(_complain(str(error))) from error


def _short(pod: Object) -> Fate:
    owners = pod["metadata"].get("ownerReferences", [])
    return Fate(runs_s=2.0 if any(owner["kind"] == "Job" for owner in owners) else None)


def _state(name: str) -> Path:
    folder = programs.cache_folder() / "up"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _owner() -> int | None:
    """The process that owns the cluster: the one that holds the lock."""
    with _state("lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            return int(lock.read() or 0) or None
    return None


def _complain(message: str) -> int:
    typer.echo(message, err=True)
    return 1


if __name__ == "__main__":
    app()
