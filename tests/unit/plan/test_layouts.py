"""Which ZeRO stage and micro-batch are chosen for a device."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright.plan.layout import Training, choose, memory_table

from tests.unit.plan.planning import GB, shape


def training(**changes: Any) -> Training:
    usual: dict[str, Any] = {
        "shape": shape(),
        "trainable": shape().parameters,
        "sequence_length": 2048,
        "bytes_per_value": 2,
        "packs_a_step": 256,
        "devices": 8,
        "memory_bytes": 80 * GB,
    }
    return Training(**(usual | changes))


def test_llama_3_2_3b_trains_with_zero_1_on_eight_a100_80gb() -> None:
    line = choose(training())
    assert line is not None
    assert (line.layout.zero_stage, line.layout.micro_batch, line.layout.checkpointing) == (1, 4, False)


def test_memory_falls_with_every_stage_at_one_micro_batch() -> None:
    totals = [line.memory.total for line in memory_table(training(micro_batch=1))]
    assert totals == sorted(totals, reverse=True)


def test_a_smaller_device_takes_a_higher_stage_before_activations_are_computed_again() -> None:
    line = choose(training(memory_bytes=24 * GB))
    assert line is not None
    assert line.layout.zero_stage == 2
    assert not line.layout.checkpointing


def test_activations_are_computed_again_only_where_no_stage_fits_without() -> None:
    line = choose(training(memory_bytes=13 * GB, sequence_length=8192))
    assert line is not None
    assert line.layout.checkpointing


def test_nothing_is_chosen_where_nothing_fits() -> None:
    assert choose(training(devices=1, memory_bytes=24 * GB)) is None


def test_settings_of_the_cluster_win() -> None:
    line = choose(training(zero_stage=3, micro_batch=2, checkpointing=True))
    assert line is not None
    assert (line.layout.zero_stage, line.layout.micro_batch, line.layout.checkpointing) == (3, 2, True)


@pytest.mark.parametrize(("packs", "devices", "micro_batch"), [(8, 8, 1), (16, 8, 2), (12, 8, 2), (4, 8, 1)])
def test_a_micro_batch_is_at_most_what_a_device_gets_in_a_step(packs: int, devices: int, micro_batch: int) -> None:
    line = choose(training(packs_a_step=packs, devices=devices, memory_bytes=None))
    assert line is not None
    assert line.layout.micro_batch == micro_batch
