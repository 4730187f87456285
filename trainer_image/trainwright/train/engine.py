"""The DeepSpeed engine: what of a model each rank owns under ZeRO 1, 2 and 3, one step, and whole tensors again.

This is the only module that touches private names of DeepSpeed: which slice of the flat fp32 masters a parameter has
on this rank (`_hp_mapping` under ZeRO-1 and 2, `grad_position` under ZeRO-3). A test per stage holds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainwright.api.training import Training
from trainwright.train.loss import PackedLoss
from trainwright.train.network import Network
from trainwright.train.ranks import Ranks

MOMENTS = ("exp_avg", "exp_avg_sq")
BUCKET_ELEMENTS = 50_000_000
Read = Callable[[str, int, int], torch.Tensor]
"""(name of a parameter, first element, count) → those elements of it, flat, fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The part of a flattened parameter that this rank owns, and where it lies in the rank's flat fp32 masters."""

    name: str
    shape: tuple[int, ...]
    start: int
    count: int
    flat: torch.Tensor
    offset: int

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """This slice's view of the flat masters, or of a moment that lies as they do."""
        return tensor.detach().narrow(0, self.offset, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one optimiser step did; not `applied`: a gradient was not finite and the weights are as they were."""

    applied: bool
    gradient_norm: float


class Engine:
    """A network under DeepSpeed: `module(…)` is the summed loss; `backward` as often as needed; then one `step`."""

    def __init__(
        self, network: Network, training: Training, ranks: Ranks, *, zero_stage: int, micro_batch: int
    ) -> None:
        import deepspeed

        self.network, self.ranks = network, ranks
        self.zero_stage = max(1, zero_stage)
        module = PackedLoss(network.module)
        groups = _parameter_groups(network, training.weight_decay)
        first, second = training.adam_betas
        optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(first, second), fused=True)
        self._engine, *_ = deepspeed.initialize(
            model=module,
            optimizer=optimizer,
            config=_configuration(network, training, zero_stage=self.zero_stage, micro_batch=micro_batch),
        )
        self.module: torch.nn.Module = self._engine

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradient of this rank's part of the step's loss; DeepSpeed averages over ranks, this sums."""
        self._engine.backward(loss * self.ranks.count, scale_wrt_gas=False)

    def step(self, rate: float) -> Outcome:
        """Clip, update with learning rate `rate`, clear the gradients."""
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        self._engine.step()
        norm = self._engine.get_global_grad_norm()
        return Outcome(
            applied=bool(self._engine.was_step_applied()), gradient_norm=math.nan if norm is None else float(norm)
        )

    def slices(self) -> Iterator[Slice]:
        """What this rank owns of each trained parameter; parameters of which it owns nothing are left out."""
        zero = self._engine.optimizer
        parameter: Any
        for name, parameter in self.network.trainable():
            if hasattr(parameter, "ds_id"):
                group, offset, size = zero.grad_position[zero.get_param_id(parameter)]
                start = size * zero._get_param_partition_rank(parameter)
                count = max(0, min(size, parameter.ds_numel - start))
                flat, shape = zero.fp32_partitioned_groups_flat[group], parameter.ds_shape
            elif parameter._hp_mapping is not None:
                mapping = parameter._hp_mapping
                start, count = mapping.lp_fragment_address.start, mapping.lp_fragment_address.numel
                offset = mapping.hp_fragment_address.start
                flat, shape = zero.single_partition_of_fp32_groups[mapping.param_group_index], parameter.shape
            else:
                continue
            if count:
                yield Slice(name=name, shape=tuple(shape), start=start, count=count, flat=flat, offset=offset)

    def moment(self, piece: Slice, name: str) -> torch.Tensor:
        """This rank's part of one of Adam's MOMENTS of a parameter."""
        return piece.of(self._state(piece)[name])

    @property
    def adam_step(self) -> float:
        """How many updates Adam has made; it corrects its moments by it."""
        return next((float(self._state(piece)["step"]) for piece in self.slices()), 0.0)

    def write_masters(self, read: Read) -> None:
        """Set the fp32 masters; the low-precision weights are expected to be the same values, rounded."""
        for piece in self.slices():
            piece.of(piece.flat).copy_(read(piece.name, piece.start, piece.count))

    def write_moments(self, reads: dict[str, Read], adam_step: float) -> None:
        """Set Adam's moments, which a fresh engine does not have before its first step."""
        for piece in self.slices():
            state = self._state(piece)
            if MOMENTS[0] not in state:
                state["step"] = torch.tensor(adam_step, device=piece.flat.device)
                state.update({name: torch.zeros_like(piece.flat.detach()) for name in MOMENTS})
            for name in MOMENTS:
                self.moment(piece, name).copy_(reads[name](piece.name, piece.start, piece.count))

    def whole_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """The trained parameters, whole: adapters in fp32, else in the training precision. All ranks must iterate."""
        from deepspeed.utils import safe_get_full_fp32_param

        dtype = self.network.dtype if self.network.lora is None else torch.float32
        for name, parameter in self.network.trainable():
            if self.zero_stage < 3 and parameter.dtype == dtype:
                yield name, parameter.detach()
            else:
                yield name, safe_get_full_fp32_param(parameter).to(dtype)

    def _state(self, piece: Slice) -> Any:
        return self._engine.optimizer.optimizer.state[piece.flat]


def _parameter_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, vectors (norms, biases) do not; DeepSpeed refuses an empty group."""
    parameters = [parameter for _, parameter in network.trainable()]
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups: Sequence[tuple[list[torch.nn.Parameter], float]] = ((matrices, weight_decay), (vectors, 0.0))
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]


def _configuration(network: Network, training: Training, *, zero_stage: int, micro_batch: int) -> dict[str, Any]:
    """DeepSpeed's settings. Accumulation is ours: `backward` any number of times, then one `step`."""
    return {
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": training.clip_norm,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": network.dtype == torch.bfloat16, "check_grad_overflow": True},
        "zero_optimization": {
            "stage": zero_stage,
            "contiguous_gradients": zero_stage == 2,
            "overlap_comm": False,
            "reduce_bucket_size": BUCKET_ELEMENTS,
            "allgather_bucket_size": BUCKET_ELEMENTS,
        },
    }
