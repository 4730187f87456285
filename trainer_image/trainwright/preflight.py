"""Whether training can begin, tried on a CPU before GPUs are asked for: the last act of the pod before the gang.

In: the outputs of weights and tokenize. Out: nothing; an error says what does not fit together.
Run alone: python -m trainwright preflight --config run.json
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trainwright import plan
from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig
from trainwright.errors import PreflightFailed
from trainwright.formats.tokens import TokenShards
from trainwright.plan import facts
from trainwright.train.preflight import check_model


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Check that model, tokenizer and tokens load and fit, and that memory and disk suffice by the plan.

    Raises:
        PreflightFailed: the model, the tokenizer or a token shard is broken, or they do not belong together.
        DoesNotFit: a device's memory or the free room of the workspace is too small.
    """
    weights, tokens = inputs["weights"], inputs["tokenize"].folder
    shards = TokenShards(tokens / "train")
    if shards.pack_count == 0 or shards.target_count == 0:
        raise PreflightFailed(
            f"{tokens / 'train'} holds no target to learn", hint="look at the counts of prepare and tokenize"
        )
    validation = tokens / "validation"
    if validation.exists() and any(validation.iterdir()):
        TokenShards(validation)
    check_model(
        weights.folder / "model", tokens / "tokenizer", shards, scratch=bool(weights.metrics.get("scratch", False))
    )
    made = plan_on_cluster(config, inputs)
    plan.check(made)
    chosen = made.chosen.layout if made.chosen else None
    layout = f"; ZeRO-{chosen.zero_stage}, micro-batch {chosen.micro_batch}" if chosen else ""
    return Report(message=f"ready to train: {shards.pack_count:,} packs{layout}", counts={}, metrics={})


def plan_on_cluster(config: RunConfig, finished: Inputs) -> plan.Plan:
    """The plan of a run on the machines of `spec.cluster`, with the free room of the workspace as it is now."""
    written = sum(facts.bytes_under(artifact.folder) for artifact in finished.values())
    train = config.workdir / "stages" / "train"
    machine = replace(
        plan.cluster_machine(config.spec),
        free_bytes=facts.free_bytes(config.workdir),
        written_bytes=written + facts.bytes_under(train),
    )
    return plan.plan(config.spec, facts.collect(config, finished), machine, name=config.name)
