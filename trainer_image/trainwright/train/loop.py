"""The loop: steps, validations, candidates, checkpoints, and how it ends.

A step is `packs_per_step` packs whatever the number of ranks; its loss is the mean over all targets of all of them,
so the micro-batches add up exactly. A crash at any instant loses what came after the newest checkpoint and nothing
else: what is done again is done as before.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trainwright.api import Spec
from trainwright.artifacts import Fence
from trainwright.errors import NonFinite, Stopped
from trainwright.formats.tokens import TokenShards
from trainwright.progress import Heart, Progress
from trainwright.train import candidates, checkpoints
from trainwright.train.batches import Batch, micro_batches
from trainwright.train.engine import Engine
from trainwright.train.judgement import Validation, kept_steps, patience_after
from trainwright.train.loss import summed_loss
from trainwright.train.order import share
from trainwright.train.ranks import Ranks, StopRequest
from trainwright.train.records import Records
from trainwright.train.settings import Settings
from trainwright.train.validation import validation_loss

LOG = logging.getLogger(__name__)
CHECKPOINT_SHARE = 0.05
"""Checkpoints may take this share of the time."""
FIRST_CHECKPOINT_S = 15.0
NAMED_ROWS = 8
SEED_STRIDE = 1_000_003


@dataclass(slots=True)
class State:
    """What a checkpoint keeps of the loop besides weights and optimiser."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Spent in steps, over all attempts."""
    validations: list[Validation] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Loop:
    """One training on all ranks."""

    spec: Spec
    settings: Settings
    engine: Engine
    ranks: Ranks
    shards: TokenShards
    validation: Sequence[Batch]
    output: Path
    records: Records
    stop: StopRequest
    fence: Fence
    state: State
    _saved_step: int = -1
    _saved_at: float = 0.0
    _save_cost_s: float = 0.0

    def run(self) -> str:
        """Train to the end and say what ended it.

        Raises:
            Stopped: on request, after a checkpoint.
        RetryLater: another attempt works in the same folder; this one writes nothing more.
            NonFinite: a loss or gradient is NaN or infinite; that step was not applied.
        """
        self._saved_step, self._saved_at = self.state.step, time.monotonic()
        progress = Progress("train", self.settings.steps, "steps")
        if not self.state.validations:
            self._validate()
        while self.state.step < self.settings.steps and not self._is_patience_over():
            stop, due = self._step(progress)
            if self.state.step in self.settings.validation_steps:
                self._validate()
            if stop or due:
                self._save()
            if stop:
                raise Stopped(f"stopped after step {self.state.step}", hint="the same command goes on from there")
        self._finish()
        return "earlyStopping" if self.state.step < self.settings.steps else self.settings.ends_by

    def _step(self, progress: Progress) -> tuple[bool, bool]:
        """Do one step; say whether to stop and whether a checkpoint is due."""
        started = time.monotonic()
        step = self.state.step + 1
        packs = self.settings.order.of_step(step)
        targets, tokens = int(self.shards.targets_per_pack[packs].sum()), int(self.shards.tokens_per_pack[packs].sum())
        torch.manual_seed((self.spec.training.seed * SEED_STRIDE + step) * SEED_STRIDE + self.ranks.rank)
        losses, batches = self._passes(packs, targets)
        loss, stop, due = self.ranks.sum([sum(losses), float(self.stop.received), float(self._is_checkpoint_due())])
        if not math.isfinite(loss):
            bad = [batch for batch, value in zip(batches, losses, strict=True) if not math.isfinite(value)]
            raise self._non_finite("the loss", step, bad)
        rate = self.settings.rate.at(step)
        outcome = self.engine.step(rate)
        if not outcome.applied:
            raise self._non_finite("the gradient", step, batches)
        seconds = time.monotonic() - started
        self.state.step = Heart.step = step
        self.state.tokens += tokens
        self.state.seconds += seconds
        if self.ranks.is_first:
            self.fence.check()
        self.records.step(
            step=step,
            loss=loss,
            learningRate=rate,
            gradNorm=outcome.gradient_norm,
            tokens=tokens,
            targets=targets,
            seconds=round(seconds, 4),
        )
        if self.ranks.is_first:
            figures = {"loss": round(loss, 4), "learningRate": rate, "tokensPerSecond": round(tokens / seconds)}
            progress.update(step, **figures)
        return stop > 0, due > 0

    def _passes(self, packs: Any, targets: int) -> tuple[list[float], list[Batch]]:
        """Forward and backward through this rank's packs; the losses are its share of the step's mean."""
        size = self.settings.micro_batch
        count = math.ceil(math.ceil(len(packs) / self.ranks.count) / size)
        losses, batches = [], []
        for batch in micro_batches(self.shards, share(packs, self.ranks.rank, self.ranks.count), size, count):
            loss = summed_loss(self.engine.module, batch.to(self.ranks.device)) / targets
            self.engine.backward(loss)
            losses.append(loss.detach())
            batches.append(batch)
        return torch.stack(losses).tolist(), batches

    def _non_finite(self, what: str, step: int, batches: list[Batch]) -> NonFinite:
        """The error every rank raises alike; it names the rows that were in the passes concerned."""
        rows = [row for part in self.ranks.gather([row for batch in batches for row in batch.rows]) for row in part]
        named = ", ".join(row.hex() for row in rows[:NAMED_ROWS])
        more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
        return NonFinite(
            f"{what} of step {step} is not finite; the weights are those of step {step - 1}. Rows: {named}{more}",
            hint="look at these rows, lower training.learningRate or training.clipNorm, or use precision fp32",
            step=step,
        )

    def _validate(self) -> None:
        """Validate the weights as they are; after a step they become a candidate."""
        if not self.validation:
            if self.state.step:
                candidates.write(self.engine, self.output / "candidates", self.state.step, self.fence)
            return
        validation = Validation(step=self.state.step, loss=validation_loss(self.engine, self.validation))
        if validation.step:
            candidates.write(self.engine, self.output / "candidates", validation.step, self.fence)
        self.state.validations.append(validation)
        self.records.validation(validation)
        if self.ranks.is_first:
            LOG.info("validation loss after step %d: %.4f", validation.step, validation.loss)

    def _is_patience_over(self) -> bool:
        early = self.spec.training.early_stopping
        if early is None:
            return False
        return patience_after(self.state.validations, early.min_delta).bad >= early.patience

    def _is_checkpoint_due(self) -> bool:
        """By rank 0's clock: after the chosen interval, else so that saving takes at most CHECKPOINT_SHARE."""
        chosen = self.settings.checkpoint_interval_s
        interval = max(FIRST_CHECKPOINT_S, self._save_cost_s / CHECKPOINT_SHARE) if chosen is None else chosen
        return self.ranks.is_first and time.monotonic() - self._saved_at >= interval

    def _save(self) -> None:
        """Write a checkpoint of this step, then let older ones and lost candidates go."""
        started = time.monotonic()
        self.records.sync()
        checkpoints.save(self.engine, self.output / "checkpoints", self.state.step, self._as_json(), self.fence)
        if self.ranks.is_first:
            checkpoints.prune(self.output / "checkpoints", self.spec.checkpoint.keep)
            candidates.prune(self.output / "candidates", self.kept())
        self._saved_step, self._saved_at = self.state.step, time.monotonic()
        self._save_cost_s = time.monotonic() - started

    def _finish(self) -> None:
        if self.state.step and not any(v.step == self.state.step for v in self.state.validations):
            self._validate()
        if self._saved_step != self.state.step or not self.state.step:
            self._save()
        elif self.ranks.is_first:
            candidates.prune(self.output / "candidates", self.kept())

    def kept(self) -> list[int]:
        """The steps whose weights stay."""
        if not self.validation:
            return [self.state.step]
        return kept_steps(self.state.validations, self.spec.evaluation.keep)

    def _as_json(self) -> dict[str, Any]:
        return {
            "step": self.state.step,
            "tokens": self.state.tokens,
            "seconds": self.state.seconds,
            "validations": [validation.as_json() for validation in self.state.validations],
            "rate": self.settings.rate.as_json(),
            "order": self.settings.order.as_json(self.state.step),
            "layout": {
                "worldSize": self.ranks.count,
                "zeroStage": self.engine.zero_stage,
                "microBatch": self.settings.micro_batch,
            },
        }
