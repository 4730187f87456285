"""The stage: writes the winner, verifies every tensor, reloads it in a clean process, then adds cards and manifest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainwright.artifacts import Inputs
from trainwright.candidates import ADAPTER, attach_adapter, candidate_folder, load_base, load_candidate, precision
from trainwright.chat_template import ChatTemplate
from trainwright.contract import Report, RunConfig
from trainwright.errors import BadInput
from trainwright.export.data_card import data_card
from trainwright.export.generation_config import generation_config
from trainwright.export.manifest import write_manifest
from trainwright.export.model_card import model_card
from trainwright.export.reload import verify_reload
from trainwright.export.weights import save_weights, verify_trained, verify_weights
from trainwright.formats.tokens import Pack, TokenShards
from trainwright.pack_loss import batch_loss
from trainwright.progress import Progress

SAMPLE_TOKENS = 1024
"""Tokens of held-out rows on which the reloaded model is compared."""
PARTS = ("weights", "tokenizer", "check", "reload", "cards")


def export(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Make `output`/model, complete and verified.

    Raises:
        BadInput: a tensor is missing, misshapen or untrained, or the reloaded model is another one.
        NonFinite: a weight is NaN or infinite.
    """
    step = int(inputs["evaluate"].metrics["best"]["step"])
    template = ChatTemplate.load(inputs["tokenize"].folder)
    folder = output / "model"
    progress = Progress("export", len(PARTS), "parts")
    packs = _sample_packs(inputs)
    unchanged = _write_weights(config, inputs, step, template, folder)
    progress.update(1)
    _copy_tokenizer(inputs["tokenize"].folder / "tokenizer", folder)
    progress.update(2)
    tensors = verify_weights(folder)
    progress.update(3)
    trainer_loss = _trainer_loss(config, inputs, step, packs)
    found = verify_reload(folder, packs, trainer_loss, config.spec.training.precision, template)
    progress.update(4)
    (folder / "README.md").write_text(model_card(config, inputs, int(found["parameters"])), "utf-8")
    (folder / "DATA.md").write_text(data_card(config, inputs), "utf-8")
    digest, size_bytes = write_manifest(folder, inputs)
    progress.update(5)
    return Report(
        message=f"step {step} reloaded in a clean process: loss {found['loss']:.4f}, trained {trainer_loss:.4f}",
        counts={"parameters": int(found["parameters"]), "tensors": tensors, "bytes": size_bytes},
        metrics={
            "step": step,
            "reloadLoss": found["loss"],
            "trainerLoss": trainer_loss,
            "firstTokenSeconds": found["firstTokenSeconds"],
            "tokensPerSecond": found["tokensPerSecond"],
            "digest": digest,
            "bytes": size_bytes,
            "unchangedTensors": unchanged,
        },
    )


def _write_weights(config: RunConfig, inputs: Inputs, step: int, template: ChatTemplate, folder: Path) -> int:
    """Write the winner and return how many of its tensors are as they were before training."""
    import torch

    base = load_base(config, inputs, dtype=torch.float32)
    exact = config.spec.training.precision == "fp32"
    unchanged = verify_trained(candidate_folder(inputs["train"], step), base, exact=exact)
    del base
    model = load_candidate(config, inputs, step, dtype=precision(config))
    folder.mkdir(parents=True, exist_ok=True)
    generation = generation_config(
        inputs["weights"].folder / "model" / "generation_config.json",
        stop_ids=template.stop_ids,
        bos_id=template.begin_ids[0] if template.begin_ids else None,
        pad_id=template.pad_id,
    )
    save_weights(model, folder, generation)
    return unchanged


def _copy_tokenizer(tokenizer: Path, folder: Path) -> None:
    for path in sorted(tokenizer.iterdir()):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)


def _sample_packs(inputs: Inputs) -> list[Pack]:
    """The first packs of validation rows (else test, training) with at most SAMPLE_TOKENS tokens, at least one."""
    for split in ("validation", "test", "train"):
        folder = inputs["tokenize"].folder / split
        shards = TokenShards(folder) if any(folder.glob("part-*")) else None
        if shards is None or not shards.target_count:
            continue
        chosen: list[Pack] = []
        for number in range(shards.pack_count):
            pack = shards.pack(number)
            if chosen and sum(len(one.tokens) for one in chosen) + len(pack.tokens) > SAMPLE_TOKENS:
                break
            if pack.targets.any():
                chosen.append(pack)
        return chosen
    raise BadInput("no row has a target", hint="run tokenize again with --fresh tokenize")


def _trainer_loss(config: RunConfig, inputs: Inputs, step: int, packs: Sequence[Pack]) -> float:
    """The loss of the candidate as training computed it: packed, an adapter beside the weights of the base."""
    import torch

    folder = candidate_folder(inputs["train"], step)
    if (folder / ADAPTER).exists():
        model: Any = attach_adapter(load_base(config, inputs, dtype=torch.float32), folder)
        model = model.to(precision(config)).base_model.model
    else:
        model = load_candidate(config, inputs, step, dtype=precision(config))
    with torch.inference_mode():
        sums = [batch_loss(model, [pack]) for pack in packs]
    return sum(float(nll) for nll, _ in sums) / sum(count for _, count in sums)
