"""A stage in a process of its own: what `python -m trainwright STAGE --config run.json` runs.

In: run.json and, beside it, jobs/STAGE.json, which says where the stage's inputs and output lie. Out: done.json of the
output when the stage is finished (written by rank 0), else a verdict for the launcher and the exit code of its class.
Whatever fails is told by an error of `trainwright.errors`; only what nobody foresaw is traced, in the log.
"""

from __future__ import annotations

import errno
import faulthandler
import importlib
import json
import logging
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from trainwright import artifacts, environment
from trainwright.artifacts import Artifact, Fence, Owner
from trainwright.contract import STAGE, Report, RunConfig, Verdict
from trainwright.errors import (
    EXIT_DONE,
    BadInput,
    GpuOutOfMemory,
    OutOfMemory,
    RankCrashed,
    TrainwrightError,
    WorkspaceFull,
)
from trainwright.progress import Heart, JsonLines

PACKAGES = ("torch", "transformers", "deepspeed", "peft", "tokenizers", "polars", "pyarrow", "numpy", "safetensors")
VERDICT_BYTES = 16_384
"""Of a verdict's file, which the launcher makes beforehand: on a full disk it can still be overwritten."""
NO_SPACE = ("No space left on device", "Disk quota exceeded")
NO_MEMORY = ("out of memory", "can't allocate memory", "memory allocation of")
GPU_MEMORY = "CUDA out of memory"
PEER_GONE = ("Connection reset by peer", "Connection closed by peer", "Broken pipe", "Connection refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One start of a stage: what the launcher hands over to its process as jobs/STAGE.json beside run.json."""

    stage: str
    key: str
    output: str
    """Folder of the output, made already."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """The key of each stage that this one needs."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What done.json says besides the report: the ingredients of the key."""
    attempt: int = 1
    """Counts the starts of the stage under this key."""

    @classmethod
    def attempts(cls, config_path: Path, job: Job) -> int:
        """How often the stage was started under this key before."""
        try:
            before = cls.read(config_path, job.stage)
        except BadInput:
            return 0
        return before.attempt if before.key == job.key else 0

    @staticmethod
    def path(config_path: Path, stage: str) -> Path:
        """Where the job of `stage` lies."""
        return config_path.parent / "jobs" / f"{stage}.json"

    def write(self, config_path: Path) -> None:
        """Leave the job for the stage's process."""
        path = self.path(config_path, self.stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        artifacts.write_json(path, asdict(self))

    @classmethod
    def read(cls, config_path: Path, stage: str) -> Job:
        """The job that the launcher left.

        Raises:
            BadInput: there is none; stages are started by `trainwright run`.
        """
        path = cls.path(config_path, stage)
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(
                f"{path} cannot be read: {error}", hint="start the run with `trainwright run FILE`"
            ) from error


def main(stage: str, config_path: Path) -> int:
    """Run one stage as its job file says and return the exit code of the process."""
    environment.die_with_parent()
    faulthandler.enable()
    _log_as_json(stage)
    if stage == "train":
        Heart(stage, environment.rank()).start()
    try:
        _run(stage, config_path)
    except TrainwrightError as error:
        return _leave_verdict(stage, error)
    except KeyboardInterrupt:
        return 130
    except BaseException as error:  # noqa: BLE001 - the edge of the process
        traceback.print_exc()
        return _leave_verdict(stage, told(error, stage, config_path.parent))
    return EXIT_DONE


def _log_as_json(stage: str) -> None:
    logging.basicConfig(level=logging.INFO, handlers=[JsonLines(stage, environment.rank())], force=True)
    logging.captureWarnings(True)


def _run(stage: str, config_path: Path) -> None:
    started, wall = datetime.now(UTC), time.monotonic()
    job = Job.read(config_path, stage)
    config = RunConfig.model_validate_json(config_path.read_text("utf-8")).model_copy(update={"attempt": job.attempt})
    inputs = {name: _input(config.workdir, name, key) for name, key in job.inputs.items()}
    fence = (
        Fence(folder=Path(job.output), owner=Owner.of(config)) if stage in STAGE and STAGE[stage].resumable else None
    )
    if fence is not None and environment.rank() == 0:
        fence.take()
    report: Report = importlib.import_module(f"trainwright.{stage}").run(config, inputs, Path(job.output))
    if environment.rank() == 0 and stage in STAGE:
        if fence is not None:
            fence.check()
        facts = dict(job.facts) | {
            "inputs": dict(job.inputs),
            "attempt": job.attempt,
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - wall, 3),
            **_usage(),
            "threads": environment.threads(),
            "processes": environment.world_size(),
            "versions": dict(_versions()),
        }
        artifacts.publish(Path(job.output), STAGE[stage], job.key, report, facts)


def _input(workdir: Path, name: str, key: str) -> Artifact:
    found = artifacts.find(workdir, name, key)
    if found is None:
        folder = artifacts.folder_of(workdir, name, key)
        raise BadInput(
            f"the output of {name} in {folder} is not finished", hint="start the run again: it makes it anew"
        )
    return found


def _usage() -> dict[str, Any]:
    """CPU seconds of this process and its children, and the most memory one of them held."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    return {"cpuSeconds": round(seconds, 3), "peakMemoryBytes": max(own.ru_maxrss, children.ru_maxrss) * unit}


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", sys.version.split()[0]
    for name in ("trainwright", *PACKAGES):
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _leave_verdict(stage: str, error: TrainwrightError) -> int:
    """Log the error, write it where the launcher looks for it, return its exit code."""
    logging.getLogger(__name__).error("%s: %s", error.reason, error.message)
    path = environment.verdict_file()
    if path is not None:
        verdict = Verdict(
            reason=error.reason,
            message=error.message[:2000],
            hint=error.hint[:1000],
            exit_code=error.exit_code,
            stage=stage,
            rank=environment.rank() if error.rank is None and environment.world_size() > 1 else error.rank,
            step=error.step,
        )
        with path.open("r+b") as file:
            file.write(verdict.model_dump_json().encode().ljust(VERDICT_BYTES))
    return error.exit_code


def told(error: BaseException, stage: str, workdir: Path) -> TrainwrightError:
    """The error in the words of `trainwright.errors`: a full disk, no memory, a lost peer, else the log."""
    text = " | ".join(str(cause) for cause in _causes(error))
    if any(isinstance(c, OSError) and c.errno in (errno.ENOSPC, errno.EDQUOT) for c in _causes(error)) or any(
        words in text for words in NO_SPACE
    ):
        return _full(error, workdir)
    if GPU_MEMORY in text:
        return GpuOutOfMemory(
            f"{stage} ran out of GPU memory: {text[:300]}",
            hint="set a smaller cluster.microBatch or a higher cluster.zeroStage; the same command goes on",
        )
    if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
        return OutOfMemory(
            f"{stage} ran out of memory: {text[:300]}",
            hint="free memory or choose fewer --processes or --workers; the same command goes on",
        )
    if any(words in text for words in PEER_GONE) and environment.world_size() > 1:
        return RankCrashed("the connection to another training process broke", hint="its own log lines say why")
    return TrainwrightError(
        f"{stage} failed: {type(error).__name__}: {text[:500]}",
        hint=f"the trace is in {workdir / 'logs' / stage}.log; this is a defect of Trainwright, please report it",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _full(error: BaseException, workdir: Path) -> WorkspaceFull:
    named = next((c.filename for c in _causes(error) if isinstance(c, OSError) and c.filename), None)
    path = Path(str(named)) if named else workdir
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    return WorkspaceFull(
        f"no space left on the disk that holds {path}: {free} bytes are free",
        hint="make room there, then start the same command again: it goes on where it stopped",
    )
