"""What two ranks see of the engine under each ZeRO stage; run by test_engine.py, one process per rank.

Writes OUT/rank-R.json with figures by scenario and stage; the tests judge them.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from trainwright.api.training import Lora, Training
from trainwright.artifacts import Fence, Owner
from trainwright.formats.tokens import TokenShards
from trainwright.train import candidates, checkpoints, network, ranks
from trainwright.train.batches import collate, micro_batches
from trainwright.train.checkpoints import Reader
from trainwright.train.engine import Engine
from trainwright.train.loss import PackedLoss, summed_loss
from trainwright.train.network import Network
from trainwright.train.order import share
from trainwright.train.ranks import Ranks

from tests.tiny_run import tiny_model
from tests.training_run import VOCABULARY, write_tokens

STAGES = (1, 2, 3)
PACKS, RATE = 5, 1e-3


def main(out: Path) -> None:
    me = ranks.join()
    if me.is_first:
        write_tokens(out / "tokens", 60)
    me.wait()
    shards = TokenShards(out / "tokens")
    found = {
        name: {stage: scenario(me, shards, stage, out) for stage in STAGES} for name, scenario in SCENARIOS.items()
    }
    (out / f"rank-{me.rank}.json").write_text(json.dumps(found), "utf-8")
    ranks.leave()


def net(dtype: torch.dtype = torch.float32, lora: Lora | None = None) -> Network:
    module = tiny_model(VOCABULARY, tie_word_embeddings=lora is None)
    config = None
    if lora is not None:
        config = network.lora_config(lora)
        torch.manual_seed(3)
        module = network.with_adapters(module, config)
    return Network(module=module.train(), dtype=dtype, lora=config)


def engine_of(model: Network, me: Ranks, stage: int) -> Engine:
    return Engine(model, Training(learningRate=RATE, weightDecay=0.1), me, zero_stage=stage, micro_batch=2)


def fence(folder: Path) -> Fence:
    """That of one who works alone in the folder."""
    taken = Fence(folder=folder, owner=Owner())
    folder.mkdir(parents=True, exist_ok=True)
    taken.take()
    return taken


def one_step(engine: Engine, shards: TokenShards, step: int) -> tuple[float, float, bool]:
    """Loss, gradient norm, applied."""
    packs = np.arange(step * PACKS, (step + 1) * PACKS)
    targets = int(shards.targets_per_pack[packs].sum())
    mine, total = share(packs, engine.ranks.rank, engine.ranks.count), 0.0
    for batch in micro_batches(shards, mine, 2, 2):
        loss = summed_loss(engine.module, batch) / targets
        engine.backward(loss)
        total += float(loss.detach())
    outcome = engine.step(RATE)
    return engine.ranks.sum([total])[0], outcome.gradient_norm, outcome.applied


def whole(engine: Engine) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().float().clone() for name, tensor in engine.whole_tensors()}


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def parity(me: Ranks, shards: TokenShards, stage: int, out: Path) -> Any:
    """Against plain torch on all packs at once: largest relative difference of loss and norm, absolute of weights."""
    model = net()
    plain = PackedLoss(copy.deepcopy(model.module))
    parameters = list(plain.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95))
    engine = engine_of(model, me, stage)
    off_loss = off_norm = 0.0
    for step in range(4):
        batch = collate([shards.pack(n) for n in range(step * PACKS, (step + 1) * PACKS)])
        loss = summed_loss(plain, batch) / len(batch.labels_N)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, 1.0))
        optimizer.step()
        optimizer.zero_grad()
        got_loss, got_norm, _ = one_step(engine, shards, step)
        off_loss = max(off_loss, abs(got_loss / float(loss.detach()) - 1))
        off_norm = max(off_norm, abs(got_norm / norm - 1))
    expected = {name: parameter.detach() for name, parameter in plain.network.named_parameters()}
    return {"loss": off_loss, "norm": off_norm, "weights": distance(whole(engine), expected)}


def slices(me: Ranks, shards: TokenShards, stage: int, out: Path) -> Any:
    """Elements that the ranks own together, for each parameter, and its size."""
    model = net()
    sizes = {name: parameter.numel() for name, parameter in model.trainable()}
    owned = {piece.name: piece.count for piece in engine_of(model, me, stage).slices()}
    together = me.gather(owned)
    return {name: [sum(part.get(name, 0) for part in together), size] for name, size in sizes.items()}


def not_finite(me: Ranks, shards: TokenShards, stage: int, out: Path) -> Any:
    """A NaN loss and a NaN gradient of a finite loss, on one rank only: applied?, moved weights."""
    found = {}
    for kind, spoil in SPOILERS.items():
        engine = engine_of(net(), me, stage)
        one_step(engine, shards, 0)
        before = whole(engine)
        loss = summed_loss(engine.module, collate([shards.pack(0)]))
        engine.backward(spoil(loss) if me.rank == 1 else loss)
        applied = engine.step(RATE).applied
        found[kind] = {"applied": applied, "moved": distance(before, whole(engine))}
    return found


SPOILERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "loss": lambda loss: loss * float("nan"),
    "gradient": lambda loss: loss + F.relu((loss * 0.0).sqrt()),
}


def resume(me: Ranks, shards: TokenShards, stage: int, out: Path) -> Any:
    """Saved after two steps and loaded under every stage: distance at once and after another step."""
    engine = engine_of(net(), me, stage)
    for step in range(2):
        one_step(engine, shards, step)
    root = out / f"checkpoints-{stage}"
    checkpoints.save(engine, root, 2, {"any": "thing"}, fence(root))
    saved = whole(engine)
    one_step(engine, shards, 2)
    later, found = whole(engine), {}
    for other in STAGES:
        checkpoint = checkpoints.newest(root)
        assert checkpoint is not None
        model = net()
        for parameter in model.module.parameters():
            parameter.data.zero_()
        reader = Reader(checkpoint)
        reader.load_weights(dict(model.trainable()))
        again = engine_of(model, me, other)
        reader.load_optimizer(again, float(checkpoint.manifest["adamStep"]))
        at_once = distance(saved, whole(again))
        one_step(again, shards, 2)
        found[other] = [at_once, distance(later, whole(again))]
    return found


def adapter(me: Ranks, shards: TokenShards, stage: int, out: Path) -> Any:
    """LoRA in bf16, with and without embeddings: candidates on disk; distance of the fresh masters from the draw."""
    found = {}
    for kind, targets in (("linear", []), ("embeddings", ["q_proj", "embed_tokens"])):
        model = net(torch.bfloat16, Lora(rank=4, targets=targets))
        drawn = {name: parameter.detach().clone() for name, parameter in model.trainable()}
        engine = engine_of(model, me, stage)
        engine.write_masters(lambda name, start, count, drawn=drawn: drawn[name].view(-1)[start : start + count])
        from_draw = distance(whole(engine), drawn)
        for step in range(3):
            one_step(engine, shards, step)
        candidates.write(engine, out / f"{kind}-{stage}", 3, fence(out))
        found[kind] = from_draw
    return found


def full(me: Ranks, shards: TokenShards, stage: int, out: Path) -> Any:
    """All weights in bf16: the candidate on disk, and the type of the rotary frequencies."""
    model = net(torch.bfloat16)
    engine = engine_of(model, me, stage)
    for step in range(3):
        one_step(engine, shards, step)
    candidates.write(engine, out / f"full-{stage}", 3, fence(out))
    return {name: str(buffer.dtype) for name, buffer in model.module.named_buffers() if "inv_freq" in name}


SCENARIOS = {
    "parity": parity,
    "slices": slices,
    "notFinite": not_finite,
    "resume": resume,
    "adapter": adapter,
    "full": full,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
