"""How a training is laid out on its devices: micro-batch, ZeRO stage, kept activations. No result depends on them.

On a CPU: what fills a pass. On GPUs: what the spec says, else the plan's choice for the memory that these GPUs have.
After out-of-memory the operator asks for the micro-batch to be halved; accumulation makes up for it.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from trainwright import environment
from trainwright.artifacts import Inputs
from trainwright.contract import RunConfig
from trainwright.errors import DoesNotFit
from trainwright.formats.tokens import TokenShards
from trainwright.plan import facts, layout
from trainwright.plan.memory import Layout
from trainwright.plan.shape import Shape, lora_parameters
from trainwright.plan.steps import default_batch_tokens, packs_per_step
from trainwright.train.ranks import Ranks
from trainwright.train.settings import cpu_micro_batch

LOG = logging.getLogger(__name__)
GB = 10**9


def layout_of(config: RunConfig, inputs: Inputs, shards: TokenShards, ranks: Ranks) -> Layout:
    """Choose micro-batch and ZeRO stage; all ranks get the same.

    Raises:
        DoesNotFit: no micro-batch under any ZeRO stage fits into the memory of a GPU.
    """
    chosen = _on_gpus(config, inputs, shards, ranks) if ranks.device.type == "cuda" else _on_cpus(config, shards, ranks)
    halvings = environment.halvings()
    if not halvings:
        return chosen
    smaller = replace(chosen, micro_batch=max(1, chosen.micro_batch >> halvings))
    LOG.info("micro-batch %d instead of %d, since memory did not suffice", smaller.micro_batch, chosen.micro_batch)
    return smaller


def _on_cpus(config: RunConfig, shards: TokenShards, ranks: Ranks) -> Layout:
    """Micro-batch and checkpointing of `cluster` count in a pod only: it is ignored on one machine."""
    cluster, in_pod = config.spec.cluster, config.run_folder is not None
    return Layout(
        devices=ranks.count,
        zero_stage=1 if cluster.zero_stage is None else cluster.zero_stage,
        micro_batch=(cluster.micro_batch if in_pod else None) or cpu_micro_batch(shards.sequence_length),
        checkpointing=in_pod and bool(cluster.activation_checkpointing),
    )


def _on_gpus(config: RunConfig, inputs: Inputs, shards: TokenShards, ranks: Ranks) -> Layout:
    known = facts.collect(config, inputs)
    if known.shape is None:  # a kind of model that the plan cannot size
        cluster = config.spec.cluster
        return Layout(
            devices=ranks.count,
            zero_stage=1 if cluster.zero_stage is None else cluster.zero_stage,
            micro_batch=cluster.micro_batch or 1,
            checkpointing=bool(cluster.activation_checkpointing),
        )
    smallest = min(ranks.gather(torch.cuda.get_device_properties(ranks.device).total_memory))
    wanted = wanted_of(config, known.shape, shards, devices=ranks.count, memory_bytes=smallest)
    found = layout.choose(wanted)
    if found is None:
        raise DoesNotFit(
            f"training does not fit on {ranks.count} GPUs of {smallest / GB:.1f} GB with sequences of "
            f"{shards.sequence_length} tokens",
            hint="more or larger GPUs, LoRA, a smaller cluster.microBatch or a shorter training.sequenceLength",
        )
    return found.layout


def wanted_of(
    config: RunConfig, shape: Shape, shards: TokenShards, *, devices: int, memory_bytes: int
) -> layout.Training:
    """What has to fit on each device, as the plan counts it."""
    spec, length = config.spec, shards.sequence_length
    lora = spec.training.lora
    batch_tokens = spec.training.batch_tokens or default_batch_tokens(shards.token_count * (spec.epochs or 1.0), length)
    return layout.Training(
        shape=shape,
        trainable=shape.parameters if lora is None else lora_parameters(shape, lora.rank, lora.targets),
        sequence_length=length,
        bytes_per_value=2 if spec.training.precision == "bf16" else 4,
        packs_a_step=packs_per_step(batch_tokens, length),
        devices=devices,
        memory_bytes=memory_bytes,
        micro_batch=spec.cluster.micro_batch,
        zero_stage=spec.cluster.zero_stage,
        checkpointing=spec.cluster.activation_checkpointing,
    )
