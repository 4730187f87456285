"""Whose error is told when processes of a stage have failed, and in which words.

In: the ranks of this machine with their exit codes and verdict files. Out: one error: that of the process that failed
first and by itself, not of one that only lost its peer.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainwright import errors
from trainwright.cgroup import Memory
from trainwright.contract import Verdict
from trainwright.errors import EXIT_STOPPED, OutOfMemory, RankCrashed, Stopped, TrainwrightError


@dataclass(slots=True, kw_only=True)
class Rank:
    """One child process and what became of it."""

    number: int
    """Among all ranks of the stage, on all nodes."""
    process: subprocess.Popen[bytes]
    verdict_path: Path
    reader: threading.Thread | None = None
    ended: float | None = None
    killed_by_us: bool = False
    heard: float = field(default_factory=time.monotonic)
    """When it last said anything; a rank says something every five seconds."""
    step: int | None = None

    @property
    def code(self) -> int:
        """Exit code; negative: the signal that ended it."""
        return 0 if self.process.returncode is None else self.process.returncode


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A stage's processes after their end."""

    stage: str
    ranks: Sequence[Rank]
    count: int
    """Ranks on all nodes."""
    log_path: Path
    stopped: bool
    """Whether they were asked to stop."""
    oom_killed: bool
    """Whether the kernel killed a process of this container meanwhile."""
    memory: Memory = field(default_factory=Memory)

    def error(self) -> TrainwrightError:
        """The error of the rank that failed first and by itself.

        A verdict with a reason of its own names the cause; then a signal from outside; a rank that was traced, or that
        only lost its peer, comes last.
        """
        failed = sorted((_blame(rank) for rank in self.ranks if rank.code != 0), key=lambda blame: blame[:2])
        if self.stopped and not any(weight == 0 for weight, _, _, _ in failed):
            return Stopped(f"{self.stage} was stopped", hint="the same command goes on")
        if not failed:
            return RankCrashed(
                f"{self.stage} ended without done.json",
                hint=f"read {self.log_path}, then start the same command again",
            )
        _, _, rank, verdict = failed[0]
        if verdict is not None:
            kind = _classes().get(verdict.reason, TrainwrightError)
            error = kind(verdict.message, hint=verdict.hint, rank=verdict.rank, step=verdict.step)
            error.exit_code = verdict.exit_code
            return error
        return self._unexplained(rank)

    def _unexplained(self, rank: Rank) -> TrainwrightError:
        who = f"{self.stage} (process {rank.number} of {self.count})" if self.count > 1 else self.stage
        number = rank.number if self.count > 1 else None
        if rank.code == EXIT_STOPPED:
            return Stopped(f"{self.stage} was stopped", hint="the same command goes on")
        if rank.code == -signal.SIGKILL and self.oom_killed:
            return OutOfMemory(
                f"the kernel killed {who}: {_memory_words(self.memory)}",
                hint="free memory or choose fewer --processes or --workers; the same command goes on",
                rank=number,
                step=rank.step,
            )
        how = f"signal {signal.Signals(-rank.code).name}" if rank.code < 0 else f"exit code {rank.code}"
        return RankCrashed(
            f"{who} ended by {how}", hint=f"read {self.log_path}; the same command goes on", rank=number, step=rank.step
        )


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


def _memory_words(memory: Memory) -> str:
    if memory.limit_bytes is None:
        return "the machine or container has no memory left"
    held = f"the container held {memory.peak_bytes:,} bytes, " if memory.peak_bytes is not None else ""
    return f"{held}its limit is {memory.limit_bytes:,} bytes"
