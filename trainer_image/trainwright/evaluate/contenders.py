"""What is judged: the model before training, and the candidates that train kept (goal Evaluate: the model itself).

Loads one model at a time and remembers the last, so that the winner, judged last, needs no second load.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainwright.artifacts import Inputs
from trainwright.candidates import candidate_folder, load_base, load_candidate, precision
from trainwright.contract import RunConfig
from trainwright.formats.tokens import TokenShards
from trainwright.pack_loss import Loss, first_packs, loss_of, perplexity

BASE = 0
"""Step of the model before training."""


@dataclass(slots=True, kw_only=True)
class Contenders:
    """The models of a run by step, and their losses."""

    config: RunConfig
    inputs: Inputs
    _loaded: tuple[int, Any] | None = field(default=None)

    @property
    def trained(self) -> bool:
        """False for the goal Evaluate."""
        return "train" in self.inputs

    @property
    def evaluations(self) -> Sequence[Mapping[str, Any]]:
        """The validation losses that train measured, in order of steps: {step, loss, perplexity}."""
        return json_lines(self.inputs["train"].folder / "evaluations.jsonl") if self.trained else []

    def steps(self) -> list[int]:
        """The candidates, the one with the lowest validation loss last."""
        if not self.trained:
            return [BASE]
        losses = self._losses()
        kept: Sequence[int] = self.inputs["train"].metrics["kept"]
        worth = {step: math.inf if (loss := losses.get(step)) is None else loss for step in kept}
        return sorted(kept, key=lambda step: (worth[step], step), reverse=True)

    def model(self, step: int) -> Any:
        """The model after `step` steps, in the training precision, on this process's device."""
        import torch

        if self._loaded is None or self._loaded[0] != step:
            self._loaded = None
            load = load_candidate if self.trained and step != BASE else load_base
            arguments = (step,) if load is load_candidate else ()
            model = load(self.config, self.inputs, *arguments, dtype=precision(self.config))
            self._loaded = step, model.to("cuda" if torch.cuda.is_available() else "cpu")
        return self._loaded[1]

    def folder(self, step: int) -> Path:
        """Where the weights of a candidate lie."""
        if self.trained and step != BASE:
            return candidate_folder(self.inputs["train"], step)
        return self.inputs["weights"].folder / "model"

    def validation_loss(self, step: int) -> float | None:
        """The loss on the validation rows: as train measured it, else measured now; None without validation rows."""
        losses = self._losses()
        return losses[step] if step in losses else self.loss(step, "validation").mean

    def loss(self, step: int, split: str) -> Loss:
        """The loss of a model on the first evaluation.maxRows rows of a split."""
        shards = open_shards(self.inputs, split)
        if shards is None:
            return Loss(nll=0.0, targets=0)
        return loss_of(self.model(step), shards, first_packs(shards, self.config.spec.evaluation.max_rows))

    def _losses(self) -> dict[int, float | None]:
        """What train measured, by step; None where a loss is not finite."""
        return {
            int(one["step"]): loss if (loss := one["loss"]) is not None and math.isfinite(loss) else None
            for one in self.evaluations
        }


def figures_of_loss(loss: float | None) -> dict[str, float | None]:
    """Loss and perplexity as they stand in metrics."""
    return {"loss": loss, "perplexity": perplexity(loss)}


def open_shards(inputs: Inputs, split: str) -> TokenShards | None:
    """The token shards of a split; None if it has no target."""
    folder = inputs["tokenize"].folder / split
    if not any(folder.glob("part-*")):
        return None
    shards = TokenShards(folder)
    return shards if shards.target_count else None


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file; none if it is absent (a command of the user's own writes none)."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
