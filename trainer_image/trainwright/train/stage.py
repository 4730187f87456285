"""One training from its inputs to its report: look before leaping, build, resume, loop, sum up."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainwright import storage
from trainwright.artifacts import Fence, Inputs, Owner
from trainwright.contract import Report, RunConfig
from trainwright.errors import BadInput, PreflightFailed
from trainwright.formats.tokens import TokenShards
from trainwright.plan.memory import Layout
from trainwright.train import attention, checkpoints, preflight, ranks
from trainwright.train.checkpoints import Checkpoint, Reader
from trainwright.train.devices import layout_of
from trainwright.train.engine import Engine
from trainwright.train.judgement import Validation, patience_after, ranked
from trainwright.train.loop import Loop, State
from trainwright.train.network import Network, make_network
from trainwright.train.rate import Rate
from trainwright.train.records import Records
from trainwright.train.settings import Settings, settle
from trainwright.train.validation import validation_batches

LOG = logging.getLogger(__name__)


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Train as `spec.training` says, from the newest complete checkpoint in `output` if there is one.

    Raises:
        PreflightFailed, DoesNotFit, BadInput: found before the first step.
        NonFinite, WorkspaceFull, Stopped: the newest complete checkpoint stays, the same command goes on from it.
    """
    stop = ranks.StopRequest()
    stop.listen()
    me = ranks.join()
    try:
        loop = _loop(config, inputs, output, me, stop)
        ended = loop.run()
        report = _report(loop, ended)
        me.wait()
        return report
    finally:
        ranks.leave()


def _loop(config: RunConfig, inputs: Inputs, output: Path, me: ranks.Ranks, stop: ranks.StopRequest) -> Loop:
    spec, tokens = config.spec, inputs["tokenize"].folder
    shards = TokenShards(tokens / "train")
    scratch = bool(inputs["weights"].metrics["scratch"])
    model_folder = inputs["weights"].folder / "model"
    if me.is_first:
        preflight.check_model(model_folder, tokens / "tokenizer", shards, scratch=scratch)
    laid_out = layout_of(config, inputs, shards, me)
    settings = settle(
        spec,
        targets_per_pack=shards.targets_per_pack,
        tokens=shards.token_count,
        sequence_length=shards.sequence_length,
        micro_batch=laid_out.micro_batch,
    )
    network = make_network(spec, model_folder, scratch=scratch, vocabulary_size=shards.vocabulary_size)
    if me.is_first:
        _check_room(config, network, output)
    found = _checkpoint(config, output)
    state = State()
    if found is not None:
        settings, state = _resumed(settings, found, is_own=found.folder.parent == output / "checkpoints")
    engine = _engine(config, network, me, laid_out, found)
    records = Records(folder=output, writes=me.is_first)
    records.cut_back(state.step, state.validations)
    return Loop(
        spec=spec,
        settings=settings,
        engine=engine,
        ranks=me,
        shards=shards,
        validation=_validation(config, tokens / "validation", me, settings),
        output=output,
        records=records,
        stop=stop,
        fence=Fence(folder=output, owner=Owner.of(config)),
        state=state,
    )


def _check_room(config: RunConfig, network: Network, output: Path) -> None:
    trainable = sum(parameter.numel() for _, parameter in network.trainable())
    parameters = sum(parameter.numel() for parameter in network.module.parameters())
    size = network.dtype.itemsize
    preflight.check_room(
        output,
        checkpoint_bytes=12 * trainable,
        candidate_bytes=4 * trainable if network.lora is not None else size * parameters,
        export_bytes=size * parameters,
        counts={"checkpoints": config.spec.checkpoint.keep, "candidates": config.spec.evaluation.keep},
    )


def _checkpoint(config: RunConfig, output: Path) -> Checkpoint | None:
    """Our own newest checkpoint, else the one that `training.resumeFrom` names."""
    (output / "checkpoints").mkdir(exist_ok=True)
    own = checkpoints.newest(output / "checkpoints")
    uri = config.spec.training.resume_from
    if own is not None or uri is None:
        return own
    folder = storage.local_folder(uri, config, output / "resume-from")
    named = checkpoints.verified(folder) or checkpoints.newest(folder)
    if named is None:
        raise BadInput(
            f"training.resumeFrom: {uri} holds no complete checkpoint",
            hint="name a folder such as …/checkpoints/step-N; to begin anew from weights use model.from",
        )
    return named


def _resumed(settings: Settings, found: Checkpoint, *, is_own: bool) -> tuple[Settings, State]:
    """Go on from a checkpoint; one of another run may have had another length, rate or batch."""
    saved = found.state
    rate = settings.rate.going_on_from(Rate(**saved["rate"]), found.step)
    order = settings.order
    if is_own:
        anchors = saved["order"]["anchorStep"], saved["order"]["anchorPacks"]
    else:
        anchors = found.step, saved["order"]["packs"]
    order = replace(order, anchor_step=anchors[0], anchor_packs=anchors[1])
    state = State(
        step=found.step,
        tokens=int(saved["tokens"]),
        seconds=float(saved["seconds"]),
        validations=[Validation.of(value) for value in saved["validations"]],
    )
    LOG.info("going on after step %d of %s", found.step, found.folder)
    if rate.anchor_step:
        LOG.info("the learning rate goes on from %.3g to 0 at step %d", rate.anchor_rate, rate.steps)
    return replace(settings, rate=rate, order=order), state


def _engine(config: RunConfig, network: Network, me: ranks.Ranks, laid_out: Layout, found: Checkpoint | None) -> Engine:
    """The engine with its fp32 masters: those of the checkpoint, else what was drawn before it was rounded."""
    reader = Reader(found) if found is not None else None
    if reader is not None:
        reader.load_weights(dict(network.trainable()))
    if laid_out.checkpointing:
        network.module.gradient_checkpointing_enable({"use_reentrant": False})
    attention.use_for(network.module, network.dtype, me.device)
    drawn = {n: p.detach().clone() for n, p in network.trainable() if p.dtype == torch.float32 != network.dtype}
    engine = Engine(
        network,
        config.spec.training,
        me,
        zero_stage=laid_out.zero_stage,
        micro_batch=laid_out.micro_batch,
    )
    if reader is not None and found is not None:
        reader.load_optimizer(engine, float(found.manifest["adamStep"]))
    elif drawn:
        engine.write_masters(lambda name, start, count: drawn[name].view(-1)[start : start + count])
    return engine


def _validation(config: RunConfig, folder: Path, me: ranks.Ranks, settings: Settings) -> list[Any]:
    try:
        shards = TokenShards(folder)
    except PreflightFailed:
        if folder.exists() and any(folder.iterdir()):
            raise
        shards = None
    if shards is None or shards.target_count == 0:
        if config.spec.training.early_stopping is not None:
            raise BadInput(
                "training.earlyStopping needs validation rows and there are none",
                hint="raise data.split.validation, name a source with use: Validation, or leave earlyStopping out",
            )
        return []
    return validation_batches(
        shards,
        max_rows=config.spec.evaluation.max_rows,
        size=settings.micro_batch,
        rank=me.rank,
        ranks=me.count,
    )


def _report(loop: Loop, ended: str) -> Report:
    state, settings, early = loop.state, loop.settings, loop.spec.training.early_stopping
    best = next(iter(ranked(state.validations)), None)
    best_json = best.as_json() if best is not None else {"step": state.step, "loss": None, "perplexity": None}
    patience = patience_after(state.validations, early.min_delta) if early is not None else None
    message = f"{state.step} steps, {state.tokens:,} tokens"
    if best is not None:
        message += f"; validation loss {state.validations[0].loss:.4f} → {best.loss:.4f} (step {best.step})"
    if state.step > settings.steps:
        message = f"nothing to do: the checkpoint is at step {state.step}, {settings.steps} were asked for"
    return Report(
        message=message,
        counts={"steps": state.step, "tokens": state.tokens},
        metrics={
            "steps": state.step,
            "epochs": settings.order.taken_after(state.step) / len(settings.order.packs),
            "evaluations": [validation.as_json() for validation in state.validations],
            "best": best_json,
            "kept": loop.kept(),
            "ended": ended,
            "earlyStopping": {"bad": patience.bad, "best": patience.best} if patience is not None else None,
            "worldSize": loop.ranks.count,
            "zeroStage": loop.engine.zero_stage,
            "microBatch": settings.micro_batch,
            "batchTokens": settings.batch_tokens,
            "packsPerStep": settings.order.packs_per_step,
            "sequenceLength": loop.shards.sequence_length,
            "tokensPerSecond": round(state.tokens / state.seconds, 1) if state.seconds else None,
            "learningRate": settings.rate.peak,
            "precision": loop.spec.training.precision,
            "parameters": sum(parameter.numel() for parameter in loop.engine.network.module.parameters()),
            "trainable": sum(parameter.numel() for _, parameter in loop.engine.network.trainable()),
        },
    )
