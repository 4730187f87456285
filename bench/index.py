"""Measures the search index on the whole of chitchat and writes bench/results/index.md.

Run: python bench/index.py [--build]   (--build also times the making of the static table, two CPU-minutes)

Retrieval: 1,000 exchanges of conversations that the table was never fitted to, prompt and response of 5 to 60 words;
each prompt's own response is looked for among the 1,000 responses. Times are CPU seconds of one thread.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"), "1")
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results" / "index.md"
MAKING = "making the table once, CPU"
QUESTIONS = ("do you like reading books", "what is your dog's name", "is earth a star?", "i am tired of school")


def main() -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":
        paths = os.pathsep.join([str(ROOT / "trainer_image"), os.environ.get("PYTHONPATH", "")])
        sys.exit(subprocess.call([sys.executable, *sys.argv], env=os.environ | THREADS | {"PYTHONPATH": paths}))
    with tempfile.TemporaryDirectory() as folder:
        build = _build(Path(folder) / "cache") if "--build" in sys.argv else None
        facts = _index(Path(folder))
    _write(build, facts, _retrieval())


def _build(cache: Path) -> dict[str, Any]:
    """Make the table anew in a cache of its own, beside the one of the installation: the bytes must be equal."""
    from trainwright.index.table import ensure_table

    ensure_table(quiet=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"TRAINWRIGHT_CACHE": str(cache)}
    subprocess.run([sys.executable, "-m", "trainwright.index.table"], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    folders = [next(cache.rglob("about.json")).parent, ensure_table()]
    digests = [json.loads((folder / "about.json").read_text())["sha256"]["table.safetensors"] for folder in folders]
    return {
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "bytes": sum(path.stat().st_size for path in folders[0].iterdir()),
        "equal": digests[0] == digests[1],
        "digest": digests[0],
    }


def _rows(folder: Path) -> tuple[int, int]:
    """All exchanges of chitchat as prepared rows; how many, and the bytes of their texts."""
    import polars as pl
    from trainwright.formats.rows import SCHEMA, write_part
    from trainwright.index import address, chat_turns

    chat = address.chat_file()
    assert chat is not None, "chitchat-dataset is not installed"
    rows = []
    for name, turns in chat_turns.conversations(chat):
        for n in range(1, len(turns)):
            key = hashlib.md5(f"{name}/{n}".encode(), usedforsecurity=False).digest()
            messages = [{"role": "user", "content": turns[n - 1], "train": False, "flags": 0}]
            messages.append({"role": "assistant", "content": turns[n], "train": True, "flags": 0})
            rows.append({"id": key, "source": "chitchat", "contentKey": key, "messages": messages, "split": "train"})
    frame = pl.DataFrame(rows, schema_overrides={"id": pl.Binary, "contentKey": pl.Binary})
    blank = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in SCHEMA.items() if name not in frame.columns]
    texts = sum(len(m["content"].encode()) for row in rows for m in row["messages"])
    write_part(_with_all_fields(frame).with_columns(blank).sort("id"), folder / "rows", 0)
    return frame.height, texts


def _with_all_fields(frame: Any) -> Any:
    """The messages with every field of the canonical row."""
    import polars as pl

    texts = [pl.lit(None, dtype=pl.String).alias(name) for name in ("name", "toolCalls", "toolCallId")]
    return frame.with_columns(pl.col("messages").list.eval(pl.element().struct.with_fields(texts)))


def _index(folder: Path) -> dict[str, Any]:
    """The whole stage, then searches."""
    from trainwright.api import Spec
    from trainwright.artifacts import Artifact
    from trainwright.contract import RunConfig
    from trainwright.index import run, search, vectors
    from trainwright.index.static import StaticEmbedding

    StaticEmbedding()
    rows, text_bytes = _rows(folder / "prepare")
    spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": [{"uri": "./rows.jsonl"}]}})
    config = RunConfig(name="bench", spec=spec, workdir=folder, base_folder=folder)
    output = folder / "index"
    output.mkdir()
    cpu, wall = time.process_time(), time.perf_counter()
    report = run(config, {"prepare": Artifact(stage="prepare", key="k", folder=folder / "prepare", done={})}, output)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    data = sum(batch.nbytes for batch in vectors.read_parts(output / "vectors"))
    store = sum(path.stat().st_size for path in (output / "lancedb").rglob("*") if path.is_file())
    search(output, QUESTIONS[0], 10)
    searches = []
    for question in QUESTIONS:
        begin = time.process_time()
        search(output, question, 10)
        searches.append(time.process_time() - begin)
    return {"rows": rows, "exchanges": report.counts["exchanges"], "cpu_s": cpu, "wall_s": wall, "data": data,
            "store": store, "text": text_bytes, "search_s": sorted(searches)[len(searches) // 2]}  # fmt: skip


def _retrieval() -> dict[str, tuple[float, float]]:
    """r@1 and r@10 of the table, TF-IDF and MiniLM itself on held-out conversations."""
    import numpy as np
    import polars as pl
    from trainwright.index import address, chat_turns
    from trainwright.index.minilm import MiniLM
    from trainwright.index.static import StaticEmbedding

    chat, archive = address.chat_file(), address.minilm_archive()
    assert chat is not None and archive is not None
    turns, pairs = [], []
    for name, said in chat_turns.conversations(chat):
        if not chat_turns.is_held_out(name):
            turns += said
            continue
        pairs += [p for p in pairwise(said) if all(5 <= len(text.split()) <= 60 for text in p)]
    pairs = sorted(set(pairs), key=lambda pair: hashlib.sha256("\x1f".join(pair).encode()).digest())[:1000]
    prompts, responses = ([pair[n] for pair in pairs] for n in (0, 1))
    table, model = StaticEmbedding(), MiniLM(archive)
    vectors: dict[str, Callable[[list[str]], Any]] = {
        "static table": lambda texts: table.encode(pl.Series(texts)),
        "TF-IDF (words, idf of the fitted turns)": _tf_idf(turns),
        "MiniLM-L6, the teacher": lambda texts: np.concatenate(
            [model.texts(texts[n : n + 16]) for n in range(0, len(texts), 16)]
        ),
    }
    return {name: _recall(encode(prompts), encode(responses)) for name, encode in vectors.items()}


def _recall(prompts: Any, responses: Any) -> tuple[float, float]:
    """Shares of prompts whose own response is first, and among the first ten; ties count as half before."""
    scores = prompts @ responses.T
    scores = scores.toarray() if hasattr(scores, "toarray") else scores
    own = scores.diagonal()[:, None]
    ranks = (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    return float((ranks < 1).mean()), float((ranks < 10).mean())


def _tf_idf(corpus: list[str]) -> Callable[[list[str]], Any]:
    """Texts → sparse unit rows of (1 + log tf) × idf."""
    import re

    import numpy as np
    from scipy import sparse

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    found = [set(words(text)) for text in corpus]
    numbers = {word: n for n, word in enumerate(sorted(set().union(*found)))}
    frequency = np.zeros(len(numbers))
    for one in found:
        frequency[[numbers[word] for word in one]] += 1
    idf = np.log((1 + len(corpus)) / (1 + frequency)) + 1

    def encode(texts: list[str]) -> Any:
        rows, columns = [], []
        for n, text in enumerate(texts):
            known = [numbers[word] for word in words(text) if word in numbers]
            rows += [n] * len(known)
            columns += known
        counts = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(numbers)))
        counts.sum_duplicates()
        counts.data = 1 + np.log(counts.data)
        weighted = counts.multiply(idf).tocsr()
        lengths = np.sqrt(weighted.multiply(weighted).sum(1)).A1
        return sparse.diags(1 / np.maximum(lengths, 1e-9)) @ weighted

    return encode


def _write(build: dict[str, Any] | None, facts: dict[str, Any], recall: dict[str, tuple[float, float]]) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    store, data = (facts[name] / 1e6 for name in ("store", "data"))
    measured = {
        "chitchat, exchanges embedded and loaded into LanceDB": f"{facts['exchanges']:,}",
        "CPU, whole stage": f"{facts['cpu_s']:.1f} s = {facts['cpu_s'] / facts['rows'] * 1e6:.0f} µs an exchange",
        "wall, whole stage": f"{facts['wall_s']:.1f} s",
        "peak memory, making the rows included": f"{peak:.0f} MB",
        "LanceDB beside its data in Arrow": f"{store:.1f} / {data:.1f} MB = {store / data:.2f}",
        "one search, all compared, CPU": f"{facts['search_s'] * 1e3:.0f} ms, loading of the table included",
        MAKING: _made(build) if build else _before(MAKING),
    }
    lines = [
        "# The search index",
        "",
        f"`python bench/index.py --build`; CPU seconds of one thread on a core of {_processor()}, shared with others.",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in measured.items()),
        "",
        "Retrieval on conversations the table was not fitted to (1,000 exchanges, own response among 1,000):",
        "",
        "| vectors | r@1 | r@10 |",
        "|---|---|---|",
        *(f"| {name} | {first:.3f} | {ten:.3f} |" for name, (first, ten) in recall.items()),
        "",
        "A static table is between word overlap and its teacher: good for neighbours and topics, no judge of meaning.",
        "English only: in other languages its vectors are little more than word overlap.",
    ]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    print(RESULTS.read_text("utf-8"))


def _made(build: dict[str, Any]) -> str:
    twice = "equal" if build["equal"] else "DIFFERENT"
    return f"{build['cpu_s']:.0f} s, {build['bytes'] / 1e6:.1f} MB; made twice: {twice} ({build['digest'][:16]})"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "an unknown CPU")


def _before(name: str) -> str:
    """What the results said of a row before, if it is not measured anew."""
    rows = RESULTS.read_text("utf-8").splitlines() if RESULTS.exists() else []
    found = [row.split(" | ", 1)[1].removesuffix(" |") for row in rows if row.startswith(f"| {name} |")]
    return found[0] if found else "not measured: run with --build"


if __name__ == "__main__":
    main()
