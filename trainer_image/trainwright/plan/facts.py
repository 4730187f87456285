"""Find out what a plan needs to know: sizes of sources, the model's shape, counts of finished stages, this machine.

The only module of the plan that reads files. Nothing is downloaded: what is not on this machine is said to be unknown.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainwright import models, storage
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig, source_names
from trainwright.environment import cpu_quota, visible_gpus
from trainwright.errors import TrainwrightError
from trainwright.plan import gguf_header, rates
from trainwright.plan.devices import CPU_CORE, DEFAULT_GPU, PRICE_SOURCE, gpu_named
from trainwright.plan.machines import chosen_gpu
from trainwright.plan.shape import Shape, shape_of
from trainwright.plan.values import Facts, Machine, SourceFacts

TEXT_SUFFIXES = (".json", ".jsonl", ".csv", ".txt", ".yaml", ".yml")
NVIDIA_PROC = Path("/proc/driver/nvidia/gpus")


def collect(config: RunConfig, finished: Mapping[str, Artifact]) -> Facts:
    """Gather what is known of a run; `finished` are its stages' outputs that can be reused, by name."""
    shape, basis = _shape(config, finished.get("weights"))
    tokenize, prepare = finished.get("tokenize"), finished.get("prepare")
    return Facts(
        shape=shape,
        shape_basis=basis,
        sources=_sources(config, finished.get("ingest")),
        train_exchanges=prepare.counts.get("train") if prepare else None,
        tokens=tokenize.counts.get("tokens") if tokenize else None,
        packs=tokenize.counts.get("packs") if tokenize else None,
        sequence_length=tokenize.metrics.get("sequenceLength") if tokenize else None,
    )


def this_machine(config: RunConfig, *, gpu: str | None = None, price: float | None = None) -> Machine:
    """This machine as the run uses it: `config.processes` GPUs, or cores if it has none; `gpu` names their kind."""
    notes = []
    processes = config.processes
    device = CPU_CORE
    memory: int | None = _memory_bytes() // max(1, processes)
    if gpu is not None or visible_gpus():
        label = gpu or _gpu_label()
        found = gpu_named(label) if label else None
        if gpu is not None:
            found = chosen_gpu(gpu)
        elif found is None:
            notes.append(f"{DEFAULT_GPU} is assumed: {label or 'the GPU'} is not in the table; name it with --gpu")
        device = found or chosen_gpu(DEFAULT_GPU)
        memory = device.memory_bytes
    cores = float(min(config.workers, cpu_quota()))
    return Machine(
        name=f"this machine: {processes} × {device.name}",
        device=device,
        devices=processes,
        device_memory_bytes=memory,
        cores=dict.fromkeys(rates.CPU_US_PER_EXCHANGE, cores),
        free_bytes=free_bytes(config.workdir),
        written_bytes=bytes_under(config.workdir / "stages"),
        price_per_device_hour=device.price_per_hour if price is None else price,
        price_basis=PRICE_SOURCE if price is None else "--price",
        notes=tuple(notes),
    )


def _shape(config: RunConfig, weights: Artifact | None) -> tuple[Shape | None, str]:
    """The model's shape and where it is from; without one, what is missing."""
    model = config.spec.model
    if model is None:
        return None, "not known yet: this goal has no model"
    try:
        description, basis = _model_config(config, weights)
        if description is None:
            return None, basis
        if model.tokenizer is not None and model.tokenizer.train is not None:
            description = {**description, "vocab_size": model.tokenizer.train.vocabulary_size}
        return shape_of(description, models.parameter_count(description)), basis
    except (TrainwrightError, OSError, ValueError, KeyError) as error:
        return None, f"not known yet: the model cannot be sized ({str(error).splitlines()[0]})"


def _model_config(config: RunConfig, weights: Artifact | None) -> tuple[Mapping[str, Any] | None, str]:
    model = config.spec.model
    if weights is not None:
        path = weights.folder / "model" / "config.json"
        return json.loads(path.read_text("utf-8")), "config.json from the stage weights"
    scratch = model.scratch if model else None
    if scratch is not None and scratch.preset is not None:
        return models.PRESETS[scratch.preset], f"preset {scratch.preset}"
    uri = (scratch.config if scratch else None) or (model.from_ if model else None) or ""
    local = storage.local_path(uri, config)
    if local is None:
        return None, f"not known yet: the stage weights has not fetched {uri}"
    if local.suffix == ".gguf":
        return gguf_header.read_config(local), f"header of {local.name}"
    file = local / "config.json" if scratch is None else local
    if not file.is_file():
        return None, f"not known yet: {uri} has no {file.name} here"
    return json.loads(file.read_text("utf-8")), f"{file.name} of {uri}"


def _sources(config: RunConfig, ingest: Artifact | None) -> tuple[SourceFacts, ...]:
    names, read = source_names(config.spec), _read_by_ingest(ingest)
    facts = []
    for number, source in enumerate(config.spec.data.sources):
        size, missing = (None, "") if number in read else _text_bytes(source.uri, config)
        limits = [limit for limit in (source.max_rows, config.sample) if limit is not None]
        facts.append(
            SourceFacts(
                name=names[number],
                weight=source.weight,
                use=source.use,
                exchanges=read.get(number),
                limit=min(limits) if limits else None,
                text_bytes=size,
                missing=missing,
            )
        )
    return tuple(facts)


def _read_by_ingest(ingest: Artifact | None) -> dict[int, int]:
    """Exchanges of each source by its place in the spec, from sources.json of a finished ingest."""
    if ingest is None:
        return {}
    try:
        listed = json.loads((ingest.folder / "sources.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {number: int(source["exchanges"]) for number, source in enumerate(listed)}


def _text_bytes(uri: str, config: RunConfig) -> tuple[int | None, str]:
    """Size of a source's files if they are plain text of this machine; else why their rows cannot be estimated."""
    try:
        path = storage.local_path(uri, config)
        if path is None:
            return None, f"{uri} is not on this machine and has no maxRows; ingest counts its rows"
        files = _files(path)
    except TrainwrightError as error:
        return None, error.message
    if not files:
        return None, f"{uri} matches no file"
    others = [file.name for file in files if file.suffix not in TEXT_SUFFIXES]
    if others:
        return None, f"{others[0]} is compressed or binary and has no maxRows; ingest counts its rows"
    return sum(file.stat().st_size for file in files), ""


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    if path.is_file():
        return [path]
    pattern = str(path.absolute())
    return sorted(file for file in Path("/").glob(pattern[1:]) if file.is_file())


def _gpu_label() -> str:
    """The product name of the first GPU as the driver's files give it; no driver is called."""
    for folder in sorted(NVIDIA_PROC.glob("*/information")):
        for line in folder.read_text("utf-8", "replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return ""


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_bytes(folder: Path) -> int:
    """Free bytes of the file system that holds the folder, or will hold it."""
    return shutil.disk_usage(_existing(folder)).free


def bytes_under(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _existing(path: Path) -> Path:
    """The path or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path
