"""What one core reaches in training: the rate that `trainwright plan` uses for a CPU (plan/devices.py, CPU_CORE).

    python bench/plan_cpu_core.py

Plain torch, one thread, bf16, random weights and tokens, packs of 512 tokens, a fused AdamW: tokens per second of CPU
time, and operations per second by the plan's own count (6 a parameter and token, with LoRA 4 and 6 for the adapters).
Writes bench/results/plan_cpu_core.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "plan_cpu_core.json"
TOKENS = 512
STEPS = 4
SMOLLM2 = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
}


def main() -> None:
    """Measure three trainings and write the result."""
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", GOMP_SPINCOUNT="0")
    import torch
    from trainwright.models import PRESETS

    torch.set_num_threads(1)
    tiny = PRESETS["llama-tiny"]
    rows = [
        measure("llama-tiny, all weights, batch of 2", tiny, batch=2, rank=None),
        measure("SmolLM2-135M, all weights, batch of 2", {**tiny, **SMOLLM2}, batch=2, rank=None),
        measure("SmolLM2-135M, LoRA of rank 16, batch of 2", {**tiny, **SMOLLM2}, batch=2, rank=16),
    ]
    result = {"command": "python bench/plan_cpu_core.py", "cpu": cpu_name(), "torch": torch.__version__, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def measure(name: str, config: Mapping[str, Any], *, batch: int, rank: int | None) -> dict[str, Any]:
    """Train some steps; return tokens and operations per second of CPU time, the median of all but the first."""
    import torch
    from peft import LoraConfig, get_peft_model
    from trainwright import models
    from trainwright.plan.shape import lora_parameters, shape_of
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(LlamaConfig(**config)).to(torch.bfloat16)
    count = models.parameter_count(config)
    trained = count if rank is None else lora_parameters(shape_of(config, count), rank)
    if rank is not None:
        model = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear"), autocast_adapter_dtype=False)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    seconds = []
    for _ in range(STEPS):
        tokens_BT = torch.randint(0, config["vocab_size"], (batch, TOKENS))
        started = time.process_time()
        model(tokens_BT, labels=tokens_BT, use_cache=False).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.process_time() - started)
    rate = batch * TOKENS / statistics.median(seconds[1:])
    operations = 6 * trained if rank is None else 4 * count + 6 * trained
    return {
        "training": name,
        "parameters": count,
        "tokens_per_core_s": round(rate),
        "gflops": round(rate * operations / 1e9, 1),
    }


def cpu_name() -> str:
    """The processor's name, and whether it multiplies bf16 by itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return f"{name}, {'avx512_bf16' if 'avx512_bf16' in flags else 'no avx512_bf16'}"


if __name__ == "__main__":
    sys.exit(main())
