"""Starts a stage in processes of its own and brings back its artifact or its error.

In: a job (stage, key, output, inputs) and the number of processes: one, for train one per rank. The children's JSON
lines go to `on_line`, all they say to WORKDIR/logs/STAGE.log. Out: the published artifact, or the error that tells what
happened: the verdict of the process that failed first, not that of a rank that only lost its peer.
SIGINT and SIGTERM are passed on as SIGTERM, a second one kills. Children end with this process, however it ends.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from trainwright import artifacts, environment, errors
from trainwright.artifacts import Artifact
from trainwright.contract import Verdict
from trainwright.errors import EXIT_STOPPED, OutOfMemory, RankCrashed, Stopped, TrainwrightError
from trainwright.stage_process import VERDICT_BYTES, Job

OnLine = Callable[[dict[str, Any]], None]
PEERS_GRACE_S = 5.0
"""After one rank has failed the others get so long to leave a verdict of their own."""
POLL_S = 0.05
PROGRAM = (sys.executable, "-m", "trainwright")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(slots=True, kw_only=True)
class Rank:
    """One child process and what became of it."""

    number: int
    process: subprocess.Popen[bytes]
    verdict_path: Path
    reader: threading.Thread
    ended: float | None = None
    killed_by_us: bool = False

    @property
    def code(self) -> int:
        """Exit code; negative: the signal that ended it."""
        return 0 if self.process.returncode is None else self.process.returncode


def run_stage(
    config_path: Path,
    job: Job,
    *,
    processes: int = 1,
    threads: int = 1,
    variables: Mapping[str, str] | None = None,
    deadline_s: float | None = None,
    on_line: OnLine = lambda line: None,
) -> Artifact:
    """Run one stage to its end and return its artifact; its output folder is made by `artifacts.begin`.

    `config_path` is run.json in the workdir; `threads` are those of each process; `variables` are set in the children's
    environment. After `deadline_s` seconds the stage is asked to stop, as by a signal. Signals are passed on only when
    this is called in the main thread.

    Raises:
        TrainwrightError: the stage failed; the class and text are those of its verdict.
    """
    job = replace(job, attempt=Job.attempts(config_path, job) + 1)
    job.write(config_path)
    log_path = config_path.parent / "logs" / f"{job.stage}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    kills_before = oom_kills()
    with log_path.open("ab", buffering=0) as log, _stop_requests(deadline_s) as stop:
        ranks = _spawn(
            config_path, job, processes, environment.child_environment(threads) | dict(variables or {}), lines
        )
        try:
            _watch(ranks, stop, lines, log, on_line)
        finally:
            _end(ranks)
            _drain(lines, log, on_line)
    found = artifacts.find(config_path.parent, job.stage, job.key)
    if found is not None:
        return found
    raise _error(ranks, job.stage, log_path, stopped=bool(stop), oom_killed=oom_kills() > kills_before)


def oom_kills(cgroup: Path = CGROUP, membership: Path = Path("/proc/self/cgroup")) -> int:
    """How many processes of this cgroup the kernel has killed for memory (v2 memory.events, v1 memory.oom_control)."""
    try:
        entries = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        entries = []
    own = [
        path.lstrip("/") for _, controllers, path in entries if controllers in ("", "memory") or "memory" in controllers
    ]
    for folder in (*own, ""):
        for file in (cgroup / folder / "memory.events", cgroup / "memory" / folder / "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                fields = dict(line.split() for line in file.read_text().splitlines())
                if "oom_kill" in fields:
                    return int(fields["oom_kill"])
    return 0


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


def _spawn(
    config_path: Path, job: Job, processes: int, shared: dict[str, str], lines: queue.SimpleQueue[bytes]
) -> list[Rank]:
    command = [*PROGRAM, job.stage, "--config", str(config_path)]
    port = _free_port()
    ranks: list[Rank] = []
    for number in range(processes):
        verdict_path = Job.path(config_path, job.stage).with_name(f"{job.stage}.rank-{number}.verdict.json")
        verdict_path.write_bytes(b" " * VERDICT_BYTES)  # room for it, should the disk fill up
        own = {environment.PARENT: str(os.getpid()), environment.VERDICT: str(verdict_path)}
        process = subprocess.Popen(
            command,
            env=shared | environment.rank_environment(number, processes, port) | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        ranks.append(Rank(number=number, process=process, verdict_path=verdict_path, reader=reader))
    return ranks


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(pipe: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    with pipe:
        for line in pipe:
            lines.put(line)


def _watch(
    ranks: list[Rank], stop: list[int], lines: queue.SimpleQueue[bytes], log: IO[bytes], on_line: OnLine
) -> None:
    """Wait until all ranks have ended; pass on stop requests; give up the others once one has failed."""
    passed_on = 0
    deadline: float | None = None
    while any(rank.ended is None for rank in ranks):
        _drain(lines, log, on_line, wait_s=POLL_S)
        for rank in ranks:
            if rank.ended is None and rank.process.poll() is not None:
                rank.ended = time.time()
                if rank.code != 0 and deadline is None:
                    deadline = time.monotonic() + PEERS_GRACE_S
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
        rank.reader.join(timeout=5)


def _drain(lines: queue.SimpleQueue[bytes], log: IO[bytes], on_line: OnLine, wait_s: float = 0.0) -> None:
    """Write what the children said to the log and hand on their JSON lines; wait at most `wait_s` for the first."""
    with contextlib.suppress(queue.Empty):
        line = lines.get(timeout=wait_s) if wait_s else lines.get_nowait()
        while True:
            with contextlib.suppress(OSError):  # a full disk must not hide what the stage says of it
                log.write(line)
            if line.startswith(b'{"time"'):
                with contextlib.suppress(ValueError):
                    on_line(json.loads(line))
            line = lines.get_nowait()


def _error(ranks: list[Rank], stage: str, log_path: Path, *, stopped: bool, oom_killed: bool) -> TrainwrightError:
    """The error of the rank that failed first and by itself.

    A verdict with a reason of its own names the cause; then a signal from outside; a rank that was traced, or that only
    lost its peer, comes last.
    """
    failed = sorted((_blame(rank) for rank in ranks if rank.code != 0), key=lambda blame: blame[:2])
    if stopped and not any(weight == 0 for weight, _, _, _ in failed):
        return Stopped(f"{stage} was stopped", hint="the same command goes on")
    if not failed:
        return RankCrashed(
            f"{stage} ended without done.json", hint=f"read {log_path}, then start the same command again"
        )
    _, _, rank, verdict = failed[0]
    if verdict is not None:
        kind = _classes().get(verdict.reason, TrainwrightError)
        error = kind(verdict.message, hint=verdict.hint, rank=verdict.rank, step=verdict.step)
        error.exit_code = verdict.exit_code
        return error
    return _unexplained(rank, len(ranks), stage, log_path, oom_killed=oom_killed)


def _blame(rank: Rank) -> tuple[int, float, Rank, Verdict | None]:
    try:
        verdict = Verdict.model_validate_json(rank.verdict_path.read_text("utf-8"))
        when = rank.verdict_path.stat().st_mtime
    except (OSError, ValueError):
        verdict, when = None, rank.ended or time.time()
    if rank.killed_by_us and verdict is None:
        return 4, when, rank, None
    if verdict is None:
        return 1, when, rank, None
    if verdict.reason == TrainwrightError.reason:
        return 2, when, rank, verdict
    return (3 if verdict.reason == RankCrashed.reason else 0), when, rank, verdict


def _classes() -> dict[str, type[TrainwrightError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TrainwrightError)]
    return {kind.reason: kind for kind in kinds}


def _unexplained(rank: Rank, count: int, stage: str, log_path: Path, *, oom_killed: bool) -> TrainwrightError:
    who = f"{stage} (process {rank.number} of {count})" if count > 1 else stage
    number = rank.number if count > 1 else None
    if rank.code == EXIT_STOPPED:
        return Stopped(f"{stage} was stopped", hint="the same command goes on")
    if rank.code == -signal.SIGKILL and oom_killed:
        return OutOfMemory(
            f"the kernel killed {who}: the machine or container has no memory left",
            hint="free memory or choose fewer --processes or --workers; the same command goes on",
            rank=number,
        )
    how = f"signal {signal.Signals(-rank.code).name}" if rank.code < 0 else f"exit code {rank.code}"
    return RankCrashed(f"{who} ended by {how}", hint=f"read {log_path}; the same command goes on", rank=number)
