"""Measures ingest on the exchanges of chitchat and writes bench/results/ingest.md.

Run: python bench/ingest.py   (about one CPU-minute)

CPU seconds of one thread, the best of some runs: from the bytes of a file to canonical rows on disk, ids and content
keys included, and through the whole stage, sorted partitions in Parquet included; beside them what the parsers alone
need for the same lines, which check less and make no rows.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "ingest.md"
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")
CHITCHAT = {
    "uri": "pkg://chitchat_dataset/dataset.json",
    "columns": {"messages": "messages", "role": "sender", "content": "text"},
}
RUNS = 5
BAD_LINES = (10, 5_000, 70_000, 70_001, 90_000, 100_000, 131_000)


def main() -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":
        paths = os.pathsep.join([str(ROOT / "trainer_image"), os.environ.get("PYTHONPATH", "")])
        sys.exit(subprocess.call([sys.executable, *sys.argv], env=os.environ | THREADS | {"PYTHONPATH": paths}))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chitchat = _stage(folder, CHITCHAT)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        files = _files(folder, chitchat["output"])
        rows = [(what, *_file(folder, path)) for what, path in files.items()]
        parsers = _parsers(folder / "pairs.jsonl")
    _write(chitchat, peak, rows, parsers)


def _config(folder: Path, source: dict[str, Any]) -> Any:
    from trainwright.api import Spec
    from trainwright.contract import RunConfig

    spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": [source]}})
    return RunConfig(name="bench", spec=spec, workdir=folder, base_folder=folder)


def _stage(folder: Path, source: dict[str, Any], runs: int = 2) -> dict[str, Any]:
    """The whole stage: best CPU seconds, counts and the folder of the last run."""
    from trainwright.ingest import run

    best = 1e9
    for _ in range(runs):
        output = Path(tempfile.mkdtemp(dir=folder))
        begun = time.process_time()
        report = run(_config(folder, source), {}, output)
        best = min(best, time.process_time() - begun)
    return {"seconds": best, "counts": report.counts, "output": output}


def _files(folder: Path, ingested: Path) -> dict[str, Path]:
    """The exchanges of chitchat, written in several formats."""
    import polars as pl

    parts = sorted((ingested / "rows").glob("part-*.parquet"))
    turns = pl.concat(pl.read_parquet(part, columns=["messages"]) for part in parts)["messages"].to_list()
    pairs = [{"prompt": prompt["content"], "response": response["content"]} for prompt, response in turns]
    keep = ("role", "content")
    chats = [{"messages": [{key: turn[key] for key in keep} for turn in row]} for row in turns]
    lines = [json.dumps(pair, ensure_ascii=False).encode() for pair in pairs]
    good = b"\n".join(lines)
    for number in BAD_LINES:
        lines[number] = lines[number][:-9]
    plain, csv, parquet = folder / "pairs.jsonl", folder / "pairs.csv", folder / "pairs.parquet"
    plain.write_bytes(good)
    (folder / "bad.jsonl").write_bytes(b"\n".join(lines))
    (folder / "pairs.jsonl.gz").write_bytes(gzip.compress(good, 6))
    (folder / "chats.jsonl").write_text("\n".join(json.dumps(chat, ensure_ascii=False) for chat in chats))
    table = pl.DataFrame(pairs)
    table.write_csv(csv)
    table.write_parquet(parquet)
    return {
        "JSON Lines, prompt and response": plain,
        f"… with {len(BAD_LINES)} bad lines": folder / "bad.jsonl",
        "… packed (.gz)": folder / "pairs.jsonl.gz",
        "JSON Lines, messages": folder / "chats.jsonl",
        "CSV": csv,
        "Parquet": parquet,
    }


def _file(folder: Path, path: Path) -> tuple[int, int, float, float]:
    """Rows and bad rows of a file; microseconds a row to spill files, and through the stage."""
    from trainwright.ingest.limits import LIMITS
    from trainwright.ingest.readers import format_of
    from trainwright.ingest.reading import FileTask, read_file
    from trainwright.storage import list_files

    uri = f"file://{path}"
    (file,) = list_files(uri, _config(folder, {"uri": uri}))
    format_name = format_of(path.name) or ""
    task = FileTask(
        source=uri, file=file, format=format_name, columns=None, limits=LIMITS, spill=folder / "spill.arrow"
    )
    summaries = []
    seconds = _best(lambda: summaries.append(read_file(task)))
    rows, bad = summaries[-1].rows, summaries[-1].bad.total()
    return rows, bad, seconds / rows * 1e6, _stage(folder, {"uri": uri})["seconds"] / rows * 1e6


def _parsers(path: Path) -> dict[str, float]:
    """Microseconds a row of parsers alone."""
    import orjson
    import polars as pl
    import pyarrow as pa
    import pyarrow.json

    data = path.read_bytes()
    lines = data.split(b"\n")
    pa.set_cpu_count(1)
    options = pyarrow.json.ReadOptions(use_threads=False, block_size=1 << 20)
    work: dict[str, Callable[[], Any]] = {
        "orjson, line by line, nothing kept": lambda: [None for line in lines if orjson.loads(line) is None],
        "polars read_ndjson": lambda: pl.read_ndjson(io.BytesIO(data)),
        "pyarrow.json": lambda: pyarrow.json.read_json(io.BytesIO(data), read_options=options),
        "json of the standard library": lambda: [None for line in lines if json.loads(line) is None],
    }
    return {name: _best(function) / len(lines) * 1e6 for name, function in work.items()}


def _best(function: Callable[[], Any]) -> float:
    best = 1e9
    for _ in range(RUNS):
        begun = time.process_time()
        function()
        best = min(best, time.process_time() - begun)
    return best


def _write(
    chitchat: dict[str, Any], peak: float, rows: list[tuple[str, int, int, float, float]], parsers: dict[str, float]
) -> None:
    counts = chitchat["counts"]
    lines = [
        "# Ingest",
        "",
        "`python bench/ingest.py`, CPU microseconds a row, one thread of a machine shared with other work, best of "
        f"{RUNS} runs (of the stage: 2).",
        "",
        f"All of chitchat (one JSON document of 40 MB, {counts['records']:,} conversations between people) through the "
        f"whole stage: {counts['exchanges']:,} exchanges in {chitchat['seconds']:.1f} s of CPU, "
        f"at most {peak:,.0f} MiB of memory.",
        "",
        "| the same exchanges from | rows | bad | to canonical rows | through the stage |",
        "|---|---|---|---|---|",
        *(f"| {what} | {n:,} | {bad} | {read:.1f} | {stage:.1f} |" for what, n, bad, read, stage in rows),
        "",
        "The goal for good JSON Lines is 3.0 to canonical rows. The stage adds hashing the file, sorting by id and "
        "compressed Parquet.",
        "",
        "| parsers alone, without rows, ids or checks | µs a line |",
        "|---|---|",
        *(f"| {name} | {value:.1f} |" for name, value in parsers.items()),
        "",
    ]
    RESULTS.write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
