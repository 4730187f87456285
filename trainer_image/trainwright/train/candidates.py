"""Candidates for the result: the weights at a validation, `candidates/step-N/`, as other programs read them.

All weights: model.safetensors in the training precision with config.json. LoRA: adapter_model.safetensors in fp32
with adapter_config.json, in peft's layout. They are weights only and complete when they have their name.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from trainwright.artifacts import Fence, sync_folder
from trainwright.errors import TrainwrightError
from trainwright.train.checkpoints import write_tensors
from trainwright.train.engine import Engine
from trainwright.train.network import Network

WEIGHTS = "model.safetensors"
ADAPTER = "adapter_model.safetensors"


def write(engine: Engine, root: Path, step: int, fence: Fence) -> None:
    """Write the weights of all ranks as one candidate; all ranks must call this.

    Raises:
        TrainwrightError: a tensor is missing, empty or not finite; nothing is written then.
        WorkspaceFull: the disk is full.
        RetryLater: another attempt has taken the fence; nothing is published.
    """
    is_first = engine.ranks.is_first
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in engine.whole_tensors():
        if is_first:
            tensors[name] = tensor.cpu().contiguous()
    if is_first:
        network = engine.network
        _check(tensors, step)
        folder = root / f"step-{step}"
        temporary = folder.with_name(f"{folder.name}.{fence.owner}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write_config(network, temporary)
        if network.lora is None:
            write_tensors(temporary / WEIGHTS, tensors, {"format": "pt"})
        else:
            write_tensors(temporary / ADAPTER, {peft_name(n): t for n, t in tensors.items()}, {"format": "pt"})
        sync_folder(temporary)
        fence.check()
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        sync_folder(root)
    engine.ranks.wait()


def peft_name(name: str) -> str:
    """The name peft gives an adapter's tensor in its files."""
    return "base_model.model." + re.sub(r"\.default(?=\.|$)", "", name)


def _check(tensors: dict[str, torch.Tensor], step: int) -> None:
    """Refuse to write what could not be exported: gathering under ZeRO-3 has been seen to give empty tensors."""
    bad = [name for name, tensor in tensors.items() if tensor.numel() == 0 or not bool(tensor.isfinite().all())]
    if bad or not tensors:
        raise TrainwrightError(
            f"the weights of step {step} cannot be kept: {bad[0] if bad else 'all tensors'} empty or not finite",
            hint="the newest checkpoint is whole; please report this",
            step=step,
        )


def _write_config(network: Network, folder: Path) -> None:
    if network.lora is not None:
        network.lora.save_pretrained(folder)
        return
    config = network.module.config
    config.architectures = [type(network.module).__name__]
    config.dtype = network.dtype
    config.save_pretrained(folder)


def prune(root: Path, keep: Iterable[int]) -> None:
    """Remove the candidates of all other steps and what a crash left half-written."""
    names = {f"step-{step}" for step in keep}
    for path in root.glob("step-*"):
        if path.name not in names:
            shutil.rmtree(path, ignore_errors=True)
