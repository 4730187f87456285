"""The engine under ZeRO 1, 2 and 3 on two ranks: exact, resumable under any stage, and its candidates are whole.

Everything runs once, in two processes (engine_ranks.py); the tests judge the figures and the files it left.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from trainwright import environment

from tests.tiny_run import tiny_model
from tests.training_run import ROOT, VOCABULARY

STAGES = ("1", "2", "3")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine")
    variables = environment.child_environment(1) | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "trainer_image"), str(ROOT)])
    }
    command = [sys.executable, "-m", "tests.local.train.engine_ranks", str(folder)]
    processes = [
        subprocess.Popen(
            command,
            env=variables | environment.rank_environment(rank, environment.one_node(2), 29_411),
            stdout=subprocess.DEVNULL,
        )
        for rank in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    return folder


@pytest.fixture(scope="module")
def figures(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "rank-0.json").read_text())
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_step_is_that_of_plain_torch_on_all_packs_at_once(figures: dict[str, Any], stage: str) -> None:
    off = figures["parity"][stage]
    assert off["loss"] < 1e-6
    assert off["norm"] < 1e-6
    assert off["weights"] < 1e-5


@pytest.mark.parametrize("stage", STAGES)
def test_every_element_of_every_parameter_is_owned_by_one_rank(figures: dict[str, Any], stage: str) -> None:
    assert all(owned == size for owned, size in figures["slices"][stage].values())


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_step_that_is_not_finite_on_one_rank_moves_no_weight_on_any(
    figures: dict[str, Any], stage: str, kind: str
) -> None:
    assert figures["notFinite"][stage][kind] == {"applied": False, "moved": 0.0}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("other", STAGES)
def test_a_checkpoint_goes_on_under_any_stage(figures: dict[str, Any], stage: str, other: str) -> None:
    at_once, after_a_step = figures["resume"][stage][other]
    assert at_once == 0.0
    assert after_a_step == 0.0 if stage == other else after_a_step < 1e-6


@pytest.mark.parametrize("stage", STAGES)
def test_masters_begin_as_drawn_before_rounding(figures: dict[str, Any], stage: str) -> None:
    assert set(figures["adapter"][stage].values()) == {0.0}


@pytest.mark.parametrize("kind", ["linear", "embeddings"])
def test_adapters_are_whole_and_alike_under_every_stage(out: Path, kind: str) -> None:
    files = {stage: load_file(out / f"{kind}-{stage}" / "step-3" / "adapter_model.safetensors") for stage in STAGES}
    for name, tensor in files["1"].items():
        assert re.match(r"base_model\.model\.model\.", name)
        assert tensor.dtype == torch.float32
        assert tensor.numel() > 0
        assert all(float((files[stage][name] - tensor).abs().max()) < 2e-3 for stage in STAGES)
    assert any("embed_tokens" in name for name in files["1"]) == (kind == "embeddings")


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("kind", ["linear", "embeddings"])
def test_peft_loads_an_adapter_and_finds_every_tensor_changed(out: Path, kind: str) -> None:
    from peft import PeftModel

    folder = out / f"{kind}-3" / "step-3"
    loaded = PeftModel.from_pretrained(
        tiny_model(VOCABULARY, tie_word_embeddings=False), str(folder), autocast_adapter_dtype=False
    )
    there = {name: value for name, value in loaded.named_parameters() if "lora_" in name}
    assert len(there) == len(load_file(folder / "adapter_model.safetensors"))
    changed = [name for name, value in there.items() if "lora_B" in name or "embedding_A" in name]
    assert changed
    assert all(float(there[name].abs().max()) > 0 for name in changed)


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_candidate_loads_in_the_training_precision_and_differs_from_its_start(out: Path, stage: str) -> None:
    from transformers import AutoModelForCausalLM

    folder = out / f"full-{stage}" / "step-3"
    model = AutoModelForCausalLM.from_pretrained(folder)
    base = dict(tiny_model(VOCABULARY).named_parameters())
    assert model.dtype == torch.bfloat16
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            assert not torch.equal(parameter, base[name].to(torch.bfloat16)), name
    assert oct((folder / "model.safetensors").stat().st_mode)[-3:] == "644"


@pytest.mark.parametrize("stage", STAGES)
def test_rotary_frequencies_stay_exact_in_bf16(figures: dict[str, Any], stage: str) -> None:
    assert set(figures["full"][stage].values()) == {"torch.float32"}
