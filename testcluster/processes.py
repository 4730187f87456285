"""The processes of one test cluster: started with a log each, killed when whoever started them dies, whatever kills it.

Linux kills them through PR_SET_PDEATHSIG, which is bound to the thread that started them: start a cluster from a thread
that lives as long as the cluster, such as the main one.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Runs in place of the program, sets the signal, and becomes the program: a fork hook would not be safe in a process
# with threads. It ends if the parent died before the signal was set.
_BOUND_TO_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == int(sys.argv[1]) or sys.exit('the parent is gone'); os.execv(sys.argv[2], sys.argv[2:])"
)
_USED: set[int] = set()


class Process:
    """One program that runs until it is stopped; it may be started again with the same arguments."""

    def __init__(
        self, name: str, program: Path, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str] = {}
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(program), *arguments]
        self._folder = folder
        self._environment = os.environ | environment
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._running.pid if self._running is not None and self._running.poll() is None else None

    def start(self) -> None:
        """Start it, appending to its log."""
        assert self.pid is None, f"{self.name} is running"
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-ISEc", _BOUND_TO_PARENT, str(os.getpid()), *self._command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise RuntimeError with the end of its log if it has ended by itself."""
        if self._running is not None and self._running.poll() is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-15:]
            raise RuntimeError(f"{self.name} ended with {self._running.returncode}:\n" + "\n".join(lines))

    def stop(self, number: int = signal.SIGKILL, *, timeout_s: float = 20) -> None:
        """Stop it and wait until it is gone; with another signal than SIGKILL, kill it after the time-out."""
        if self._running is None:
            return
        self._running.send_signal(number)
        try:
            self._running.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
        self._running = None


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that nobody listens at, and that the kernel gives to nobody else.

    It lies below the range of outgoing connections (32768 and up), so that a server that is stopped for a while finds
    its port free again.
    """
    while True:
        port = random.randrange(20000, 32000)
        if port in _USED:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
        _USED.add(port)
        return port
