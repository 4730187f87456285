"""A stage's output: one folder per key, `WORKDIR/stages/NAME/KEY/`, finished exactly when it holds done.json.

done.json is written last, atomically and only once; a folder without it is unfinished: its stage clears it and starts
again, unless the stage is resumable (train goes on from its newest checkpoint). A finished folder is never touched
again. The key hashes what went in: the stage's fields of the spec, the keys of the stages it needs, the digests of its
sources and the stage's version. Equal keys mean equal output, so an existing done.json is reused.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.contract import Report, Stage
from trainwright.errors import BadInput, WorkdirBusy

DONE = "done.json"
LOCK = "lock"


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


def begin(workdir: Path, stage: Stage, key: str) -> Path:
    """Give the folder to work in: empty, or with what an unfinished attempt left for a stage that resumes from it.

    A finished output is taken away, since it is to be made again; done.json goes first, so that a kill in between
    leaves nothing that looks finished.
    """
    folder = folder_of(workdir, stage.name, key)
    if not stage.resumable or (folder / DONE).exists():
        (folder / DONE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def publish(folder: Path, stage: Stage, key: str, report: Report, facts: Mapping[str, Any]) -> Artifact:
    """Write done.json, synced and only if absent: from then on the output is finished.

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
    temporary = folder / f".{DONE}-{os.getpid()}"
    write_json(temporary, done)
    with contextlib.suppress(FileExistsError):
        os.link(temporary, folder / DONE)
    temporary.unlink()
    sync_folder(folder)
    published = find(folder.parents[2], stage.name, key)
    if published is None:
        raise BadInput(f"{folder / DONE} cannot be read back", hint="check the file system of the workdir")
    return published


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
