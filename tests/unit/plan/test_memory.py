"""Memory per device, against the figures published with the ZeRO paper and counted by hand."""

from __future__ import annotations

import pytest
from trainwright import models
from trainwright.plan.memory import Layout, device_memory
from trainwright.plan.shape import Shape, lora_parameters, shape_of

GB = 1e9


def shape(parameters: int) -> Shape:
    return Shape(
        parameters=parameters,
        layers=1,
        hidden=1,
        feed_forward=1,
        query_width=1,
        key_width=1,
        vocabulary=1,
        max_positions=1,
    )


def states(stage: int, devices: int, parameters: int) -> float:
    layout = Layout(devices=devices, zero_stage=stage, micro_batch=1)
    memory = device_memory(shape(parameters), layout, trainable=parameters, sequence_length=1, bytes_per_value=2)
    return (memory.weights + memory.gradients + memory.optimiser) / GB


@pytest.mark.parametrize(("stage", "published_gb"), [(0, 120), (1, 31.4), (2, 16.6), (3, 1.88)])
def test_7_point_5_billion_parameters_on_64_devices_take_what_figure_1_of_the_zero_paper_says(
    stage: int, published_gb: float
) -> None:
    assert states(stage, 64, 7_500_000_000) == pytest.approx(published_gb, rel=5e-3)


@pytest.mark.parametrize(("devices", "stage", "gb"), [(8, 1, 17.7), (16, 1, 15.3), (32, 2, 7.8), (32, 3, 1.6)])
def test_llama_3_2_3b_takes_16_bytes_a_parameter_divided_as_the_stage_says(devices: int, stage: int, gb: float) -> None:
    assert states(stage, devices, 3_212_749_824) == pytest.approx(gb, abs=0.05)


def test_lora_of_rank_16_on_smollm2_135m_has_4_9_million_parameters() -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    }
    assert lora_parameters(shape_of(config, models.parameter_count(config)), 16) == 4_884_480


def test_llama_3_2_3b_has_as_many_parameters_as_published() -> None:
    assert models.parameter_count(models.PRESETS["llama-3.2-3b"]) == 3_212_749_824
