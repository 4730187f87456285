"""Packing: nothing lost, little wasted, and the same whatever the number of threads, partitions or earlier runs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainwright.tokenize.packing import pack

from tests.factories import conversation
from tests.toy_tokenizers import toy_tokenizer
from tests.unit.tokenize.tokenizing import tokenize

WORDS = (
    *("time", "year", "people", "way", "day", "man", "thing", "woman"),
    *("life", "child", "world", "school", "state", "family", "student", "group"),
)


def random_lengths(count: int, capacity: int, mean: float = 55) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    drawn = np.random.default_rng(3).lognormal(np.log(mean) - 0.2, 0.6, count)
    return np.clip(drawn, 8, capacity).astype(np.int32)


@given(st.lists(st.integers(1, 40), max_size=60))
def test_every_sequence_is_in_one_pack_and_no_pack_overflows(lengths: list[int]) -> None:
    order = np.random.default_rng(0).random(len(lengths))
    packs = pack(np.array(lengths, np.int32), order, 40)
    assert sorted(number for one in packs for number in one) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in one) <= 40 for one in packs)


@pytest.mark.parametrize("capacity", [256, 512, 2048])
def test_at_most_one_percent_is_wasted_from_ten_thousand_rows_on(capacity: int) -> None:
    lengths = random_lengths(10_000, capacity)
    packs = pack(lengths, np.random.default_rng(1).random(len(lengths)), capacity)
    assert 1 - lengths.sum() / (len(packs) * capacity) <= 0.01


def test_a_pack_mixes_short_rows_of_different_lengths() -> None:
    lengths = random_lengths(10_000, 512)
    packs = pack(lengths, np.random.default_rng(1).random(len(lengths)), 512)
    kinds = [len({int(lengths[number]) for number in one if lengths[number] <= 64}) for one in packs]
    assert np.mean(kinds) > 4


def test_without_packing_every_sequence_is_alone(tmp_path: Path) -> None:
    rows = [conversation(f"a {n}", f"b {n}") for n in range(9)]
    training = {"sequenceLength": 64, "packing": False}
    shards = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), training=training).shards()
    assert shards.pack_count == shards.sequence_count == 9
    packed = tokenize(tmp_path / "packed", rows, tokenizer=tmp_path / "toy").shards()
    assert packed.pack_count < packed.sequence_count == 9


def test_copies_of_a_row_are_spread_over_packs(tmp_path: Path) -> None:
    rows = [conversation(f"a {n}", f"b {n}", source="./source") for n in range(200)]
    sources = [{"uri": "./source", "weight": 5}]
    shards = tokenize(tmp_path, rows, tokenizer=toy_tokenizer(tmp_path / "toy"), sources=sources).shards()
    together = sum(len(one.rows) - len(set(one.rows)) for one in map(shards.pack, range(shards.pack_count)))
    assert shards.sequence_count == 1000
    assert together < 20


def test_partitions_change_only_which_packs_rows_share(tmp_path: Path) -> None:
    rows = [conversation(f"{WORDS[n % 16]} {n}?", f"{WORDS[n * 7 % 16]} {n}.", source="./source") for n in range(120)]
    rows.sort(key=lambda row: row["id"])
    sources = [{"uri": "./source", "weight": 1.5}]
    folder = toy_tokenizer(tmp_path / "toy")
    whole = tokenize(tmp_path / "one", rows, tokenizer=folder, sources=sources)
    parts = tokenize(tmp_path / "three", [rows[:50], rows[50:51], rows[51:]], tokenizer=folder, sources=sources)

    def contents(found: object) -> Counter[tuple[bytes, str, tuple[bool, ...]]]:
        return Counter((one.row, one.text, tuple(one.targets)) for one in found.sequences())  # type: ignore[attr-defined]

    assert contents(whole) == contents(parts)
    same = ("tokens", "targets", "sequences")
    assert [whole.report.counts[name] for name in same] == [parts.report.counts[name] for name in same]
    assert whole.report.metrics["unigramLoss"] == parts.report.metrics["unigramLoss"]
    assert whole.report.metrics["perSource"] == parts.report.metrics["perSource"]


RUN_ALONE = """
import sys, json
from pathlib import Path
from tests.factories import conversation
from tests.unit.tokenize.tokenizing import tokenize
words = json.loads(sys.argv[2])
rows = [conversation(f"{words[n % 16]} {n}?", " ".join(words[n * k % 16] for k in range(9))) for n in range(400)]
tokenize(Path(sys.argv[1]), rows, training={"sequenceLength": 128})
"""


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_learnt_tokenizer_and_its_shards_are_the_same_on_any_number_of_threads(tmp_path: Path) -> None:
    trees = []
    for threads in ("1", "3"):
        threading = {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true" if threads != "1" else "false"}
        environment = os.environ | threading | {"PYTHONHASHSEED": threads}
        command = [sys.executable, "-c", RUN_ALONE, str(tmp_path / threads), json.dumps(WORDS)]
        roots = os.pathsep.join(["trainer_image", "."])
        subprocess.run(command, env=environment | {"PYTHONPATH": roots}, cwd=Path(__file__).parents[3], check=True)
        trees.append(tree(tmp_path / threads / "tokenize"))
    assert trees[0] == trees[1]
    assert "tokenizer/tokenizer.json" in trees[0]
