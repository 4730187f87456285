"""Starts a stage in processes of its own and brings back its artifact or its error.

In: a job (stage, key, output, inputs) and the gang: one process, for train one per rank, on this node or, started by a
launcher on each, on several. The children's JSON lines go to `on_line`, all they say to logs/STAGE.log beside run.json.
Out: the published artifact, or the error that tells what happened (blame.py). SIGINT and SIGTERM are passed on as
SIGTERM, a second one kills. Children end with this process, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from trainwright import artifacts, cgroup, environment
from trainwright.artifacts import Artifact
from trainwright.blame import Outcome, Rank
from trainwright.environment import Gang
from trainwright.progress import HEARTBEAT
from trainwright.stage_process import VERDICT_BYTES, Job

OnLine = Callable[[dict[str, Any]], None]
PEERS_GRACE_S = 5.0
"""After one rank has failed the others get so long to leave a verdict of their own."""
PUBLISHED_GRACE_S = 60.0
"""After the ranks of a node have ended well, rank 0 on another one gets so long to publish the result."""
POLL_S = 0.05
PROGRAM = (sys.executable, "-m", "trainwright")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told what happens while a stage runs."""

    on_line: OnLine = lambda line: None
    """Gets each JSON line of the children."""
    on_ranks: Callable[[Sequence[Rank]], None] = lambda ranks: None
    """Gets the ranks of this node once, when they have been started."""
    echo: IO[bytes] | None = None
    """Where all that the children say is written besides the log."""


SILENT = Listener()


def run_stage(
    config_path: Path,
    job: Job,
    *,
    gang: Gang | None = None,
    threads: int = 1,
    variables: Mapping[str, str] | None = None,
    deadline_s: float | None = None,
    listener: Listener = SILENT,
) -> Artifact:
    """Run one stage to its end and return its artifact; its output folder is made by `artifacts.begin`.

    `config_path` is run.json, beside which jobs/ and logs/ lie; `threads` are those of each process; `variables` are
    set in the children's environment. After `deadline_s` seconds the stage is asked to stop, as by a signal. Signals
    are passed on only when this is called in the main thread. In a gang of several nodes this runs the ranks of one.

    Raises:
        TrainwrightError: the stage failed; the class and text are those of its verdict.
    """
    gang = gang or environment.one_node(1)
    outcome = _run(config_path, job, gang, threads, variables or {}, deadline_s, listener)
    deadline = time.monotonic() + PUBLISHED_GRACE_S
    while True:
        found = artifacts.find(Path(job.output).parents[2], job.stage, job.key)
        if found is not None:
            return found
        others_publish = gang.node_rank > 0 and not any(rank.code for rank in outcome.ranks)
        if not others_publish or time.monotonic() > deadline:
            raise outcome.error()
        time.sleep(POLL_S)


def run_check(config_path: Path, job: Job, *, threads: int = 1, listener: Listener = SILENT) -> None:
    """Run a process like a stage's that has no output of its own; it must end with exit code 0.

    Raises:
        TrainwrightError: it did not.
    """
    outcome = _run(config_path, job, environment.one_node(1), threads, {}, None, listener)
    if any(rank.code for rank in outcome.ranks):
        raise outcome.error()


def _run(
    config_path: Path,
    job: Job,
    gang: Gang,
    threads: int,
    variables: Mapping[str, str],
    deadline_s: float | None,
    listener: Listener,
) -> Outcome:
    job = replace(job, attempt=max(job.attempt, Job.attempts(config_path, job) + 1))
    job.write(config_path)
    log_path = config_path.parent / "logs" / f"{job.stage}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    lines: queue.SimpleQueue[tuple[Rank, bytes]] = queue.SimpleQueue()
    kills_before = cgroup.oom_kills()
    with log_path.open("ab", buffering=0) as log, _stop_requests(deadline_s) as stop:
        _await_meeting_place(gang, stop)
        ranks = _spawn(config_path, job, gang, environment.child_environment(threads) | dict(variables), lines)
        output = _Output(lines=lines, log=log, listener=listener)
        listener.on_ranks(ranks)
        try:
            _watch(ranks, stop, output)
        finally:
            _end(ranks)
            output.drain()
    return Outcome(
        stage=job.stage,
        ranks=ranks,
        count=gang.count,
        log_path=log_path,
        stopped=bool(stop),
        oom_killed=cgroup.oom_kills() > kills_before,
        memory=cgroup.memory(),
    )


@contextlib.contextmanager
def _stop_requests(deadline_s: float | None) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them, and one SIGTERM more after `deadline_s` seconds.

    Outside the main thread signals cannot be collected and do what they always do.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    in_main_thread = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if in_main_thread else ()
    before = {number: signal.signal(number, note) for number in numbers}
    timer = threading.Timer(deadline_s or 0.0, received.append, [signal.SIGTERM])
    timer.daemon = True
    if deadline_s is not None:
        timer.start()
    try:
        yield received
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _await_meeting_place(gang: Gang, stop: list[int]) -> None:
    """Wait until the first node's name is known: its pod may get its address a moment after this one started."""
    while gang.nodes > 1 and not stop:
        with contextlib.suppress(OSError):
            socket.getaddrinfo(gang.address, gang.port)
            return
        time.sleep(1.0)


def _spawn(
    config_path: Path, job: Job, gang: Gang, shared: dict[str, str], lines: queue.SimpleQueue[tuple[Rank, bytes]]
) -> list[Rank]:
    command = [*PROGRAM, job.stage, "--config", str(config_path)]
    port = gang.port if gang.nodes > 1 else _free_port()
    ranks: list[Rank] = []
    for local in range(gang.per_node):
        number = gang.node_rank * gang.per_node + local
        verdict_path = Job.path(config_path, job.stage).with_name(f"{job.stage}.rank-{number}.verdict.json")
        verdict_path.write_bytes(b" " * VERDICT_BYTES)  # room for it, should the disk fill up
        own = {environment.PARENT: str(os.getpid()), environment.VERDICT: str(verdict_path)}
        process = subprocess.Popen(
            command,
            env=shared | environment.rank_environment(local, gang, port) | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        rank = Rank(number=number, process=process, verdict_path=verdict_path)
        rank.reader = threading.Thread(target=_read, args=(process.stdout, rank, lines), daemon=True)
        rank.reader.start()
        ranks.append(rank)
    return ranks


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(pipe: IO[bytes], rank: Rank, lines: queue.SimpleQueue[tuple[Rank, bytes]]) -> None:
    with pipe:
        for line in pipe:
            rank.heard = time.monotonic()
            lines.put((rank, line))


def _watch(ranks: list[Rank], stop: list[int], output: _Output) -> None:
    """Wait until all ranks have ended; pass on stop requests; give up the others once one has failed."""
    passed_on = 0
    deadline: float | None = None
    while any(rank.ended is None for rank in ranks):
        output.drain(wait_s=POLL_S)
        for rank in ranks:
            if rank.ended is None and rank.process.poll() is not None:
                rank.ended = time.time()
                if rank.code != 0 and deadline is None:
                    deadline = time.monotonic() + PEERS_GRACE_S
        environment.reap_orphans({rank.process.pid for rank in ranks})
        if len(stop) > passed_on:
            passed_on = len(stop)
            _signal(ranks, signal.SIGTERM if passed_on == 1 else signal.SIGKILL)
        if deadline is not None and time.monotonic() > deadline:
            _signal(ranks, signal.SIGKILL)


def _signal(ranks: list[Rank], number: signal.Signals) -> None:
    for rank in ranks:
        if rank.process.poll() is None:
            rank.killed_by_us = True
            rank.process.send_signal(number)


def _end(ranks: list[Rank]) -> None:
    """Leave nothing behind: neither the ranks nor the processes they started."""
    for rank in ranks:
        rank.killed_by_us |= rank.process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(rank.process.pid, signal.SIGKILL)
        rank.process.wait()
        rank.ended = rank.ended or time.time()
        if rank.reader is not None:
            rank.reader.join(timeout=5)
    environment.reap_orphans(set())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """What the children say, on its way to the log and to the listener."""

    lines: queue.SimpleQueue[tuple[Rank, bytes]]
    log: IO[bytes]
    listener: Listener

    def drain(self, wait_s: float = 0.0) -> None:
        """Hand on what has been said; wait at most `wait_s` for the first line."""
        with contextlib.suppress(queue.Empty):
            rank, line = self.lines.get(timeout=wait_s) if wait_s else self.lines.get_nowait()
            while True:
                self._take(rank, line)
                rank, line = self.lines.get_nowait()

    def _take(self, rank: Rank, line: bytes) -> None:
        said: dict[str, Any] = {}
        if line.startswith(b'{"time"'):
            with contextlib.suppress(ValueError):
                said = json.loads(line)
        if HEARTBEAT in said:
            rank.step = said[HEARTBEAT]
            return
        with contextlib.suppress(OSError):  # a full disk must not hide what the stage says of it
            self.log.write(line)
        if self.listener.echo is not None:
            self.listener.echo.write(line)
            self.listener.echo.flush()
        if said:
            self.listener.on_line(said)
