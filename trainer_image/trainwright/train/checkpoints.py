"""Checkpoints against crashes: `checkpoints/step-N/`, complete exactly when its manifest verifies.

Each rank writes one safetensors file with what it owns: the slices of fp32 masters and of Adam's moments. A header
says which part of which parameter a slice is, so any number of ranks under any ZeRO stage can read it. manifest.json
holds sizes, hashes and the training's own state. All is written into step-N.OWNER.tmp, synced and renamed: the rename
commits it. The newest checkpoint that verifies wins; there is no pointer that could name a torn one, and nothing is
ever a pickle.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from trainwright.artifacts import Fence, sync_folder, write_json
from trainwright.errors import BadInput, WorkspaceFull
from trainwright.train.engine import MOMENTS, Engine

FORMAT = 1
MANIFEST = "manifest.json"
MASTER = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint."""

    folder: Path
    step: int
    manifest: Mapping[str, Any]

    @property
    def state(self) -> Mapping[str, Any]:
        """The training's own state at this step."""
        state: Mapping[str, Any] = self.manifest["state"]
        return state


def save(engine: Engine, root: Path, step: int, state: Mapping[str, Any], fence: Fence) -> None:
    """Write a checkpoint of all ranks; when this returns it is complete and durable.

    Raises:
        WorkspaceFull: the disk is full; what was written of this checkpoint is removed, earlier ones stay as they are.
        RetryLater: another attempt has taken the fence; nothing is published.
    """
    ranks = engine.ranks
    folder = root / f"step-{step}"
    temporary = folder.with_name(f"{folder.name}.{fence.owner}.tmp")
    if ranks.is_first:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    ranks.wait()
    file = temporary / f"rank-{ranks.rank:05d}.safetensors"
    tensors, index = _own_tensors(engine)
    write_tensors(file, tensors, {"index": json.dumps(index)})
    hashes = ranks.gather({file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)}})
    if ranks.is_first:
        fence.check()
        files = {name: facts for part in hashes for name, facts in part.items()}
        manifest = {"format": FORMAT, "step": step, "adamStep": engine.adam_step, "files": files, "state": dict(state)}
        with _room_for(temporary / MANIFEST, 1 << 20):
            write_json(temporary / MANIFEST, manifest)
        sync_folder(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        sync_folder(root)
    ranks.wait()


def _own_tensors(engine: Engine) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors: dict[str, torch.Tensor] = {}
    index: dict[str, Any] = {}
    for piece in engine.slices():
        index[piece.name] = [piece.start, piece.count, list(piece.shape)]
        tensors[f"{MASTER}/{piece.name}"] = piece.of(piece.flat).cpu().clone()
        for moment in MOMENTS:
            tensors[f"{moment}/{piece.name}"] = engine.moment(piece, moment).cpu().clone()
    return tensors, index


def write_tensors(file: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file that every user can read and that is on disk when this returns.

    Raises:
        WorkspaceFull: the disk is full; the folder of the file is removed.
    """
    with _room_for(file, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())):
        save_file(tensors, file, metadata=metadata)
        file.chmod(0o644)
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _room_for(file: Path, size: int) -> Any:
    """Turn a full disk into WorkspaceFull with the missing bytes, and give back what was written."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        if not is_full:
            raise
        shutil.rmtree(file.parent, ignore_errors=True)
        free = shutil.disk_usage(file.parent.parent).free
        raise WorkspaceFull(
            f"the disk is full: {file} needs {size} bytes, {max(0, size - free)} are missing",
            hint="make room there, then start the same command again: it goes on from the newest complete checkpoint",
        ) from error


def newest(root: Path) -> Checkpoint | None:
    """The newest complete checkpoint, or None. Torn ones are passed over."""
    steps = [int(found[1]) for path in root.glob("step-*") if (found := re.fullmatch(r"step-(\d+)", path.name))]
    for step in sorted(steps, reverse=True):
        checkpoint = verified(root / f"step-{step}")
        if checkpoint is not None:
            return checkpoint
    return None


def verified(folder: Path) -> Checkpoint | None:
    """The checkpoint in `folder` if its manifest and every file in it are whole, else None."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files: Mapping[str, Any] = manifest["files"]
        whole = manifest["format"] == FORMAT and all(
            (folder / name).stat().st_size == facts["bytes"] and _sha256(folder / name) == facts["sha256"]
            for name, facts in files.items()
        )
        return Checkpoint(folder=folder, step=int(manifest["step"]), manifest=manifest) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prune(root: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints and what a crash left half-written. A manifest goes first."""
    steps = {int(path.name[5:]): path for path in root.glob("step-*") if path.name[5:].isdigit()}
    for step in sorted(steps)[:-keep]:
        (steps[step] / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(steps[step], ignore_errors=True)
    for path in root.glob("step-*.tmp"):
        shutil.rmtree(path, ignore_errors=True)


class Reader:
    """Reads any part of any parameter out of a checkpoint, however many ranks wrote it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.folder = checkpoint.folder
        names = sorted(checkpoint.manifest["files"])
        self._files: list[Any] = [safe_open(checkpoint.folder / name, "pt") for name in names]
        self._indexes = [json.loads(file.metadata()["index"]) for file in self._files]
        self.shapes = {name: tuple(entry[2]) for index in self._indexes for name, entry in index.items()}

    def read(self, kind: str, name: str, start: int, count: int) -> torch.Tensor:
        """Elements start … start + count of the flattened parameter; `kind` is MASTER or one of MOMENTS."""
        values = torch.empty(count, dtype=torch.float32)
        found = 0
        for file, index in zip(self._files, self._indexes, strict=True):
            if name not in index:
                continue
            first, length, _ = index[name]
            low, high = max(start, first), min(start + count, first + length)
            if low < high:
                values[low - start : high - start] = file.get_slice(f"{kind}/{name}")[low - first : high - first]
                found += high - low
        if found != count:
            raise BadInput(
                f"{self.folder} lacks a part of {name}", hint="this checkpoint does not belong to this model"
            )
        return values

    def load_weights(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Put the masters' values into a model before an engine takes it, so that its low-precision copies are right.

        Raises:
            BadInput: names or shapes differ: the checkpoint is of another model.
        """
        shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
        if shapes != self.shapes:
            differing = sorted(set(shapes.items()) ^ set(self.shapes.items()))[0]
            raise BadInput(
                f"{self.folder} is a checkpoint of another model: {differing[0]} differs",
                hint="resumeFrom needs a checkpoint of the same model and the same training.lora",
            )
        for name, parameter in parameters.items():
            whole = self.read(MASTER, name, 0, parameter.numel())
            with torch.no_grad():
                parameter.copy_(whole.view(parameter.shape))

    def load_optimizer(self, engine: Engine, adam_step: float) -> None:
        """Put masters and moments into the engine."""
        engine.write_masters(lambda *part: self.read(MASTER, *part))
        engine.write_moments({m: (lambda *part, m=m: self.read(m, *part)) for m in MOMENTS}, adam_step)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
