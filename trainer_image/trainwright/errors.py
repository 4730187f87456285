"""Errors a user sees. Each says what happened, where, and what to do; `reason` and `exit_code` are contract.

TrainwrightError
├── BadInput          the file, row, folder or setting is wrong: final until the user changes it
│   ├── DoesNotFit    memory or disk cannot hold what was asked for
│   ├── DataAudit     the prepared rows miss a limit under `data.audit`
│   └── QualityGate   the winner misses a gate
├── WorkspaceFull     the disk filled up: make room, then the same command goes on
├── NonFinite         a loss or gradient is NaN or infinite
├── RetryLater        a passing fault: the same command may succeed later
├── RankCrashed       a training process died
├── OutOfMemory       the kernel killed a process for memory, or an allocation failed
│   └── GpuOutOfMemory    the same on a GPU
├── DeadlineExceeded  still at work after activeDeadlineSeconds
└── Stopped           stopped on request after a checkpoint: the same command goes on
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_CRASH = 1
EXIT_BAD_INPUT = 2
EXIT_RETRY = 3
EXIT_STOPPED = 75


class TrainwrightError(Exception):
    """Base of all errors that are told to the user instead of traced.

    `message` says what and where in one sentence; `hint` says what to do. `rank` and `step` are set by training.
    """

    reason = "Error"
    exit_code = EXIT_CRASH

    def __init__(self, message: str, *, hint: str = "", rank: int | None = None, step: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.rank = rank
        self.step = step

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class BadInput(TrainwrightError):
    """Wrong input: trying again without a change cannot help."""

    reason = "BadInput"
    exit_code = EXIT_BAD_INPUT


class InvalidSpec(BadInput):
    """The TrainingRun itself breaks a rule."""

    reason = "InvalidSpec"


class DoesNotFit(BadInput):
    """The plan needs more memory or disk than there is."""

    reason = "DoesNotFit"


class DataAudit(BadInput):
    """The prepared rows miss a limit under `data.audit` and `onViolation` is Fail."""

    reason = "DataAudit"


class QualityGate(BadInput):
    """The winner misses a gate on the test rows; it is not exported."""

    reason = "QualityGate"


class PreflightFailed(BadInput):
    """Model, tokenizer and tokens do not fit together; found before the first step."""

    reason = "PreflightFailed"


class WorkspaceFull(TrainwrightError):
    """The file system that holds the workdir is full."""

    reason = "WorkspaceFull"
    exit_code = EXIT_RETRY


class RetryLater(TrainwrightError):
    """A passing fault of something outside: network, store, another run that holds the workdir."""

    reason = "RetryLater"
    exit_code = EXIT_RETRY


class WorkdirBusy(RetryLater):
    """Another process works in this workdir."""

    reason = "WorkdirBusy"


class NonFinite(TrainwrightError):
    """A loss or gradient became NaN or infinite; the step was not applied."""

    reason = "NonFinite"
    exit_code = EXIT_BAD_INPUT


class RankCrashed(TrainwrightError):
    """A training process ended without a verdict of its own."""

    reason = "RankCrashed"
    exit_code = EXIT_RETRY


class OutOfMemory(TrainwrightError):
    """The kernel killed a process for memory, or an allocation failed."""

    reason = "OutOfMemory"
    exit_code = EXIT_RETRY


class GpuOutOfMemory(OutOfMemory):
    """A GPU has too little memory for what was to be on it."""

    reason = "GpuOutOfMemory"


class DeadlineExceeded(TrainwrightError):
    """The run was still at work after `activeDeadlineSeconds`; what is finished or checkpointed stays."""

    reason = "DeadlineExceeded"
    exit_code = EXIT_STOPPED


class Stopped(TrainwrightError):
    """Stopped on request at a safe point."""

    reason = "Stopped"
    exit_code = EXIT_STOPPED
