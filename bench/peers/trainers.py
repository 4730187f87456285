"""One short training of SmolLM2-135M in this process by one trainer: ours, plain torch, HF Trainer or TRL.

    python bench/peers/trainers.py TRAINER check|speed FOLDER

In: `FOLDER/weights` and `FOLDER/tokenize` as the stages leave them. Out, as the last line: JSON. `check` sums the loss
of the first packs' rows in fp32 before any step; `speed` trains in bf16 and counts real tokens and CPU seconds after
the first step. Peers train pure bf16 weights; ours keeps fp32 masters, as it does in a run.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from trainwright.formats.tokens import TokenShards

PACKS_PER_STEP, STEPS, LENGTH = 4, 3, 512
"""2,048 tokens a step; the first step is not measured."""
BATCH_ROWS, BATCHES_PER_STEP = 8, 4
"""Of trainers that pad: 32 rows of about 70 tokens a step."""
RATE = 1e-5
Rows = list[dict[str, list[int]]]


def first_packs(shards: TokenShards, count: int) -> Any:
    """The packs a run with the default seed trains on first."""
    from trainwright.train.order import permutation

    return permutation(42, 0, shards.pack_count)[:count]


def rows_of(shards: TokenShards, packs: int) -> Rows:
    """The sequences of the first packs: input_ids, and labels of -100 where there is no target."""
    rows = []
    for number in first_packs(shards, packs):
        pack, start = shards.pack(int(number)), 0
        for length in pack.lengths.tolist():
            ids, targets = (part[start : start + length].tolist() for part in (pack.tokens, pack.targets))
            labels = [one if target else -100 for one, target in zip(ids, targets, strict=True)]
            rows.append({"input_ids": ids, "labels": labels})
            start += length
    return rows


def padded(rows: Rows) -> dict[str, torch.Tensor]:
    """A batch as wide as its longest row."""
    width = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    wide = [row | {"attention_mask": [1] * len(row["input_ids"])} for row in rows]
    return {
        name: torch.tensor([row[name] + [pad] * (width - len(row[name])) for row in wide]) for name, pad in fill.items()
    }


def model_of(folder: Path, dtype: torch.dtype) -> Any:
    """The model as its users load it."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder / "weights" / "model", dtype=dtype).train()


def padded_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The summed loss of a padded batch, logits everywhere, as most loops have it."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), reduction="sum")


class Clock:
    """Real tokens and CPU seconds of the steps after the first."""

    def __init__(self) -> None:
        self.marks: list[float] = []
        self.tokens: list[int] = []
        self.places: list[int] = []

    def report(self, batches_per_step: int) -> dict[str, Any]:
        """Batches are counted as they are made, which may be one ahead of the step."""
        used = slice(batches_per_step, batches_per_step * STEPS)
        tokens, places = sum(self.tokens[used]), sum(self.places[used])
        cpu_s = self.marks[STEPS - 1] - self.marks[0]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"tokens": tokens, "waste": 1 - tokens / places, "cpuSeconds": cpu_s, "peakGib": peak}


def ours(folder: Path, mode: str) -> dict[str, Any]:
    """Our collator, loss and engine, one rank, ZeRO-1."""
    from trainwright.api import Spec
    from trainwright.train import attention, ranks
    from trainwright.train.engine import Engine
    from trainwright.train.loss import PackedLoss, summed_loss
    from trainwright.train.network import make_network

    training = {"precision": "bf16" if mode == "speed" else "fp32", "sequenceLength": LENGTH}
    spec = Spec.model_validate(
        {"model": {"from": "./model"}, "data": {"sources": [{"uri": "./x"}]}, "training": training}
    )
    shards = TokenShards(folder / "tokenize" / "train")
    network = make_network(spec, folder / "weights" / "model", scratch=False, vocabulary_size=shards.vocabulary_size)
    if mode == "check":
        return packed_check(lambda batch: summed_loss(PackedLoss(network.module), batch), shards)
    me = ranks.join()
    attention.use_for(network.module, network.dtype, me.device)
    engine = Engine(network, spec.training, me, zero_stage=1, micro_batch=PACKS_PER_STEP)

    def step(batch: Any) -> None:
        engine.backward(summed_loss(engine.module, batch) / len(batch.labels_N))
        assert engine.step(RATE).applied

    try:
        return packed_speed(step, shards)
    finally:
        ranks.leave()


def bare_packed(folder: Path, mode: str) -> dict[str, Any]:
    """Our collator and loss in the shortest loop of plain torch: what no engine can beat by much."""
    from trainwright.train import attention
    from trainwright.train.loss import PackedLoss, summed_loss

    model = model_of(folder, torch.bfloat16 if mode == "speed" else torch.float32)
    attention.use_for(model, model.dtype, torch.device("cpu"))
    module = PackedLoss(model)
    shards = TokenShards(folder / "tokenize" / "train")
    if mode == "check":
        return packed_check(lambda batch: summed_loss(module, batch), shards)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)

    def step(batch: Any) -> None:
        (summed_loss(module, batch) / len(batch.labels_N)).backward()
        update(model, optimizer)

    return packed_speed(step, shards)


def packed_check(loss: Callable[[Any], torch.Tensor], shards: TokenShards) -> dict[str, Any]:
    """The loss of the first packs."""
    batch = next(packed_batches(shards))
    with torch.no_grad():
        return {"loss": float(loss(batch)), "targets": len(batch.labels_N)}


def packed_speed(step: Callable[[Any], None], shards: TokenShards) -> dict[str, Any]:
    """Time steps over packs."""
    clock = Clock()
    for number, batch in enumerate(packed_batches(shards)):
        step(batch)
        clock.marks.append(time.process_time())
        taken = first_packs(shards, (number + 1) * PACKS_PER_STEP)[-PACKS_PER_STEP:]
        clock.tokens.append(int(shards.tokens_per_pack[taken].sum()))
        clock.places.append(batch.input_ids_BT.numel())
    return clock.report(1)


def packed_batches(shards: TokenShards) -> Iterator[Any]:
    """The micro-batches of all steps, one a step."""
    from trainwright.train.batches import micro_batches

    return micro_batches(shards, first_packs(shards, PACKS_PER_STEP * STEPS), PACKS_PER_STEP, STEPS)


def update(model: Any, optimizer: Any) -> None:
    """Clip, step, clear."""
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def plain_padded(folder: Path, mode: str) -> dict[str, Any]:
    """Plain torch over padded batches."""
    model = model_of(folder, torch.bfloat16 if mode == "speed" else torch.float32)
    rows = wanted_rows(folder, mode)
    batches = [padded(rows[start : start + BATCH_ROWS]) for start in range(0, len(rows), BATCH_ROWS)]
    if mode == "check":
        with torch.no_grad():
            return {"loss": sum(float(padded_loss(model, batch)) for batch in batches), "targets": targets_in(rows)}
    optimizer, clock = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True), Clock()
    for step in range(STEPS):
        chosen = batches[step * BATCHES_PER_STEP : (step + 1) * BATCHES_PER_STEP]
        targets = sum(int((batch["labels"] != -100).sum()) for batch in chosen)
        for batch in chosen:
            (padded_loss(model, batch) / targets).backward()
            clock.tokens.append(int(batch["attention_mask"].sum()))
            clock.places.append(batch["input_ids"].numel())
        update(model, optimizer)
        clock.marks.append(time.process_time())
    return clock.report(BATCHES_PER_STEP)


def hf_padded(folder: Path, mode: str) -> dict[str, Any]:
    """transformers.Trainer with the padding collator of its own examples."""
    from datasets import Dataset
    from transformers import AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model, rows = model_of(folder, torch.bfloat16 if mode == "speed" else torch.float32), wanted_rows(folder, mode)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenize" / "tokenizer")
    arguments = TrainingArguments(**shared_arguments(folder, BATCH_ROWS, BATCHES_PER_STEP))
    data = Dataset.from_list([row | {"attention_mask": [1] * len(row["input_ids"])} for row in rows])
    trainer = Trainer(model, arguments, DataCollatorForSeq2Seq(tokenizer, padding=True), train_dataset=data)
    return trained(trainer, mode, BATCHES_PER_STEP, targets_in(rows))


def trl_packed(folder: Path, mode: str) -> dict[str, Any]:
    """trl.SFTTrainer with its packing, four packs a step one by one: laid flat, four at once are slower here."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    model, rows = model_of(folder, torch.bfloat16 if mode == "speed" else torch.float32), wanted_rows(folder, mode)
    arguments = SFTConfig(
        **shared_arguments(folder, 1, PACKS_PER_STEP), packing=True, max_length=LENGTH, gradient_checkpointing=False
    )
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenize" / "tokenizer")
    trainer = SFTTrainer(model, arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    return trained(trainer, mode, PACKS_PER_STEP, targets_in(rows))


def shared_arguments(folder: Path, batch: int, accumulate: int) -> dict[str, Any]:
    """What both trainers of Hugging Face are told; pure bf16 weights, so no autocast."""
    return {
        "output_dir": str(folder / "peer"),
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulate,
        "max_steps": STEPS,
        "learning_rate": RATE,
        "optim": "adamw_torch_fused",
        "bf16": False,
        "use_cpu": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "train_sampling_strategy": "sequential",
    }


def trained(trainer: Any, mode: str, batches_per_step: int, targets: int) -> dict[str, Any]:
    """Check or time a trainer of Hugging Face."""
    from transformers import TrainerCallback

    if mode == "check":
        with torch.no_grad():
            losses = [
                float(trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch), num_items_in_batch=targets))
                for batch in trainer.get_train_dataloader()
            ]
        return {"loss": sum(losses) * targets, "targets": targets}
    clock, collate = Clock(), trainer.data_collator

    def counted(features: Any) -> Any:
        batch = collate(features)
        mask = batch.get("attention_mask")
        clock.places.append(batch["input_ids"].numel())
        clock.tokens.append(batch["input_ids"].numel() if mask is None else int(mask.sum()))
        return batch

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *arguments: Any, **others: Any) -> None:
            clock.marks.append(time.process_time())

    trainer.data_collator = counted
    trainer.add_callback(Marks())
    trainer.train()
    return clock.report(batches_per_step)


def wanted_rows(folder: Path, mode: str) -> Rows:
    """The rows of the packs that are checked, or as many as the padded steps take."""
    shards = TokenShards(folder / "tokenize" / "train")
    if mode == "check":
        return rows_of(shards, PACKS_PER_STEP)
    return rows_of(shards, 2 * PACKS_PER_STEP * STEPS)[: BATCH_ROWS * BATCHES_PER_STEP * (STEPS + 1)]


def targets_in(rows: Rows) -> int:
    """Labelled tokens."""
    return sum(label != -100 for row in rows for label in row["labels"])


TRAINERS = {f.__name__: f for f in (ours, bare_packed, plain_padded, hf_padded, trl_packed)}

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("\n" + json.dumps(TRAINERS[sys.argv[1]](Path(sys.argv[3]), sys.argv[2])))
