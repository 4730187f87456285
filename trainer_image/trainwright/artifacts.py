"""A stage's output: one folder per key, `WORKDIR/stages/NAME/KEY/`, finished exactly when it holds done.json.

A stage works in a folder of its owner (a run and its attempt), `stages/NAME/.KEY-OWNER`, which gets the name KEY when
all is written, if there is none yet. Only a resumable stage (train) works in KEY itself, behind a `Fence`. A finished
folder is never touched again. The key hashes what went in: the stage's fields of the spec, the keys of the stages it
needs, the digests of its sources and the stage's version. Equal keys mean equal output, so a finished one is reused.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.contract import Report, RunConfig, Stage
from trainwright.errors import BadInput, RetryLater, WorkdirBusy

DONE = "done.json"
LOCK = "lock"
ATTEMPT = "attempt.json"
LOCAL = "local"
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems without hard links answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who works on an output: a run, and which start of it. A workdir on one machine has one run, `local`."""

    run: str = LOCAL
    attempt: int = 1

    def __str__(self) -> str:
        return f"{self.run}-{self.attempt}"

    @classmethod
    def of(cls, config: RunConfig) -> Owner:
        """The run and attempt that these settings are of."""
        return cls(run=config.run_folder.name if config.run_folder else LOCAL, attempt=config.attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A finished stage output: its folder, its key, and what done.json says."""

    stage: str
    key: str
    folder: Path
    done: Mapping[str, Any]

    @property
    def counts(self) -> Mapping[str, int]:
        """Whole numbers of things, by name."""
        counts: Mapping[str, int] = self.done["counts"]
        return counts

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Any other JSON figures of the stage."""
        metrics: Mapping[str, Any] = self.done["metrics"]
        return metrics


Inputs = Mapping[str, Artifact]


def projection(spec: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """The values of `fields` in a spec dumped by alias; absent ones are None, `[]` goes into each item of a list."""
    return {field: _value(spec, field.split(".")) for field in fields}


def _value(value: Any, path: list[str]) -> Any:
    for n, part in enumerate(path):
        if value is None:
            return None
        if part.endswith("[]"):
            return [_value(item, path[n + 1 :]) for item in value.get(part[:-2]) or []]
        value = value.get(part)
    return value


def key_of(stage: Stage, what: Mapping[str, Any]) -> str:
    """The address of a stage's output: 16 hexadecimal digits of SHA-256 over everything that went in.

    `what` is the ingredients as `ingredients` gives them; any JSON that differs gives another key.
    """
    text = json.dumps({"stage": stage.name, "version": stage.version, "what": what}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def folder_of(workdir: Path, stage: str, key: str) -> Path:
    """Where the output of `stage` with `key` lies."""
    return workdir / "stages" / stage / key


def find(workdir: Path, stage: str, key: str) -> Artifact | None:
    """The finished output with this key, or None. A done.json that cannot be read counts as absent."""
    folder = folder_of(workdir, stage, key)
    try:
        done = json.loads((folder / DONE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return Artifact(stage=stage, key=key, folder=folder, done=done)


def finished_keys(workdir: Path, stage: str) -> list[str]:
    """Keys of the finished outputs of a stage, the one that finished last at the end."""
    found = [path for path in (workdir / "stages" / stage).glob(f"*/{DONE}") if not path.parent.name.startswith(".")]
    return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def is_unfinished(workdir: Path, stage: str, key: str) -> bool:
    """Whether somebody began an output with this key, and did not finish it."""
    folder = folder_of(workdir, stage, key)
    return not (folder / DONE).exists() and (folder.exists() or any(folder.parent.glob(f".{key}-*")))


def begin(workdir: Path, stage: Stage, key: str, owner: Owner = Owner(), *, anew: bool = False) -> Path:
    """Give the folder to work in: an empty one of the owner's, or for a resumable stage KEY with what is there.

    What earlier attempts of the same run left half-made is taken away. With `anew` a finished output goes too;
    done.json goes first, so that a kill in between leaves nothing that looks finished.
    """
    folder = folder_of(workdir, stage.name, key)
    if anew:
        (folder / DONE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    if not stage.resumable:
        _clear(folder.parent, owner)
        folder = folder.with_name(f".{key}-{owner}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _clear(stage_folder: Path, owner: Owner) -> None:
    """Remove the folders of this run's attempts up to this one: none of them may finish any more."""
    for path in stage_folder.glob(f".*-{owner.run}-*"):
        run, _, attempt = path.name.partition("-")[2].rpartition("-")
        if run == owner.run and attempt.isdigit() and int(attempt) <= owner.attempt:
            shutil.rmtree(path, ignore_errors=True)


def publish(folder: Path, stage: Stage, key: str, report: Report, facts: Mapping[str, Any]) -> Artifact:
    """Finish the output in `folder`: write done.json, synced, then give the folder the name KEY if there is none yet.

    If another attempt or run finished the same key before, its output is returned and ours is removed.
    `facts` are added beside the report: ingredients, versions, times, threads. Files become readable for every user
    (0644).
    """
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    done = {
        "stage": stage.name,
        "key": key,
        "version": stage.version,
        "message": report.message,
        "counts": dict(report.counts),
        "metrics": dict(report.metrics),
        **facts,
    }
    write_json_once(folder / DONE, done)
    if folder.name != key:
        _name(folder, folder.with_name(key))
    published = find(folder.parents[2], stage.name, key)
    if published is None:
        raise BadInput(f"{folder.with_name(key) / DONE} cannot be read back", hint="check the workdir's file system")
    return published


def _name(folder: Path, final: Path) -> None:
    """Rename a complete folder unless a finished one has the name; an unfinished one there is nobody's."""
    while True:
        try:
            folder.rename(final)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if (final / DONE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            break
        shutil.rmtree(final)
    sync_folder(final.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Keeps a stale attempt of a resumable stage from writing beside a newer one, which it may know nothing of.

    The attempt that starts writes its name into the folder; whoever finds another name there stops.
    """

    folder: Path
    owner: Owner

    def take(self) -> None:
        """Begin to work in the folder.

        Raises:
            RetryLater: a later attempt of the same run is at work already.
        """
        holder = self._holder()
        if holder is not None and holder.run == self.owner.run != LOCAL and holder.attempt > self.owner.attempt:
            raise self._lost(holder)
        write_json(self.folder / ATTEMPT, {"run": self.owner.run, "attempt": self.owner.attempt})

    def check(self) -> None:
        """Make sure that nobody else has begun since; to be asked before anything is published.

        Raises:
            RetryLater: somebody has.
        """
        holder = self._holder()
        if holder != self.owner:
            raise self._lost(holder)

    def _holder(self) -> Owner | None:
        try:
            return Owner(**json.loads((self.folder / ATTEMPT).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _lost(self, holder: Owner | None) -> RetryLater:
        other = f"attempt {holder.attempt} of {holder.run}" if holder else "another attempt"
        return RetryLater(
            f"{other} works in {self.folder}, so attempt {self.owner.attempt} of {self.owner.run} writes nothing more",
            hint="the other one goes on from the newest checkpoint",
        )


def write_json_once(path: Path, value: Any) -> None:
    """Write JSON, synced and whole, unless the file is there already."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    write_json(temporary, value)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if not path.exists():
            temporary.rename(path)
    temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that it is on disk when this returns; readers see the old file or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=False, ensure_ascii=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries (new names, renames) durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Hold the workdir for one run; the kernel frees it when the process ends, however it ends.

    Raises:
        WorkdirBusy: another process holds it; its process id is named.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise WorkdirBusy(
                f"{workdir} is in use by process {holder}",
                hint="wait until it ends, stop it, or choose another folder with --workdir",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
