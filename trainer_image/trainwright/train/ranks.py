"""The ranks of a training and the few things they tell each other; and requests to stop.

Every function here that sums, gathers or waits must be called by all ranks in the same order.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from trainwright import environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This rank's place and device."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Rank 0 writes what only one may write."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sum each value over all ranks, in double precision."""
        tensor = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        summed: list[float] = tensor.tolist()
        return summed

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in the order of ranks; for rare and small things."""
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Return when all ranks have come here."""
        dist.barrier()


def join() -> Ranks:
    """Meet the other ranks: nccl with one GPU per rank, gloo without. Nothing is compiled."""
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(environment.local_rank())
    else:
        torch.set_num_threads(environment.threads())
        # Its kernel would be compiled at the first start, which takes minutes and a compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="nccl" if has_gpu else "gloo", verbose=False)
    device = torch.device("cuda", environment.local_rank()) if has_gpu else torch.device("cpu")
    return Ranks(rank=dist.get_rank(), count=dist.get_world_size(), device=device)


def leave() -> None:
    """Part from the other ranks."""
    with contextlib.suppress(RuntimeError):
        dist.destroy_process_group()


@dataclass(slots=True)
class StopRequest:
    """Set by SIGTERM or SIGINT; the loop tells it to all ranks at the next step."""

    received: bool = field(default=False)

    def listen(self) -> None:
        """From now on the two signals only set the flag."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
