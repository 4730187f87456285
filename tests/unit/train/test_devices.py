"""How a training is laid out on its devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trainwright.api import Spec
from trainwright.contract import RunConfig
from trainwright.formats.tokens import TokenShards
from trainwright.plan import layout
from trainwright.plan.shape import Shape
from trainwright.train.devices import layout_of, wanted_of
from trainwright.train.ranks import Ranks

from tests.training_run import SEQUENCE_LENGTH, write_tokens

GB = 10**9
THREE_BILLIONS = Shape(
    parameters=3_212_749_824,
    layers=28,
    hidden=3072,
    feed_forward=8192,
    query_width=3072,
    key_width=1024,
    vocabulary=128_256,
    max_positions=131_072,
)
CPU = Ranks(rank=0, count=2, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> TokenShards:
    folder = tmp_path_factory.mktemp("tokens")
    write_tokens(folder, 40)
    return TokenShards(folder)


def config(folder: Path, *, pod: bool = False, **cluster: Any) -> RunConfig:
    groups = {"model": {"from": "./m"}, "data": {"sources": [{"uri": "./x"}]}, "cluster": cluster}
    spec = Spec.model_validate({**groups, "training": {"batchTokens": 65536}})
    return RunConfig(
        name="run", spec=spec, workdir=folder, base_folder=folder, run_folder=folder / "uid" if pod else None
    )


def test_a_cpu_takes_what_fills_a_pass_halved_after_out_of_memory(
    tmp_path: Path, shards: TokenShards, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert layout_of(config(tmp_path), {}, shards, CPU).micro_batch == 2048 // SEQUENCE_LENGTH
    monkeypatch.setenv("TRAINWRIGHT_HALVINGS", "1")
    assert layout_of(config(tmp_path), {}, shards, CPU).micro_batch == 1024 // SEQUENCE_LENGTH
    monkeypatch.setenv("TRAINWRIGHT_HALVINGS", "20")
    assert layout_of(config(tmp_path), {}, shards, CPU).micro_batch == 1


def test_settings_of_the_cluster_count_in_pods_only(tmp_path: Path, shards: TokenShards) -> None:
    cluster: dict[str, Any] = {"microBatch": 3, "activationCheckpointing": True}
    here, there = (layout_of(config(tmp_path, pod=pod, **cluster), {}, shards, CPU) for pod in (False, True))
    assert (here.micro_batch, here.checkpointing) == (2048 // SEQUENCE_LENGTH, False)
    assert (there.micro_batch, there.checkpointing) == (3, True)


def test_gpus_get_the_smallest_zero_stage_and_the_largest_micro_batch_that_fit(
    tmp_path: Path, shards: TokenShards
) -> None:
    chosen = []
    for memory_gb in (80, 40, 24):
        wanted = wanted_of(config(tmp_path), THREE_BILLIONS, shards, devices=32, memory_bytes=memory_gb * GB)
        line = layout.choose(wanted)
        assert line is not None
        chosen.append((line.layout.zero_stage, line.layout.micro_batch))
        assert line.memory.total <= layout.USABLE_SHARE * memory_gb * GB
    assert chosen[0] == (1, 64)
    assert chosen[2][0] >= 1


def test_what_the_spec_sets_is_not_chosen(tmp_path: Path, shards: TokenShards) -> None:
    wanted = wanted_of(
        config(tmp_path, microBatch=2, zeroStage=3), THREE_BILLIONS, shards, devices=32, memory_bytes=80 * GB
    )
    line = layout.choose(wanted)
    assert line is not None
    assert (line.layout.zero_stage, line.layout.micro_batch) == (3, 2)
