"""The stage and the search in what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trainwright.errors import BadInput
from trainwright.index import search

from tests.factories import conversation
from tests.unit.index.conftest import MakeIndex, read_vectors

ROWS = [
    conversation("hello how are you", "fine thanks", split="train", record=1),
    conversation("cat likes", "milk", split="train", record=2),
    conversation("dog likes", "bone", split="validation", record=3),
    conversation("capital of japan", "tokyo", split="train", record=4),
    conversation("capital of switzerland", "bern", split="test", record=5),
]


def test_nearest_training_exchange_comes_first(make_index: MakeIndex) -> None:
    hits = search(make_index(ROWS), "Capital of Japan?", 2)
    assert (hits[0].prompt, hits[0].response, hits[0].split) == ("capital of japan", "tokyo", "train")
    assert 0.5 < hits[0].score <= 1.0 + 1e-3
    assert hits[0].score > hits[1].score
    assert hits[0].row in {row["id"].hex() for row in ROWS}


def test_exact_text_is_found_with_score_one(make_index: MakeIndex) -> None:
    assert search(make_index(ROWS), "cat likes milk", 1)[0].score == pytest.approx(1, abs=1e-2)


def test_only_training_exchanges_are_found_unless_asked(make_index: MakeIndex) -> None:
    index = make_index(ROWS)
    assert {hit.split for hit in search(index, "dog likes bone", 10)} == {"train"}
    assert search(index, "dog likes bone", 1, split="validation")[0].response == "bone"
    assert {hit.split for hit in search(index, "dog", 10, split=None)} == {"train", "validation", "test"}


def test_partitions_do_not_change_what_is_written(make_index: MakeIndex) -> None:
    whole, parted = make_index(ROWS), make_index(ROWS, per_part=2, name="parted")
    assert read_vectors(whole).equals(read_vectors(parted))
    assert len(list(parted.glob("vectors/*.parquet"))) == 3


def test_part_without_targets_is_indexed_as_empty(make_index: MakeIndex) -> None:
    asked = conversation("hello", {"role": "assistant", "content": "hi", "train": False}, split="train", record=9)
    index = make_index([asked, *ROWS], per_part=1)
    assert read_vectors(index).height == len(ROWS)


def test_folder_without_an_index_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished index"):
        search(tmp_path, "hello")


def test_empty_question_is_refused(make_index: MakeIndex) -> None:
    with pytest.raises(BadInput, match="nothing to search for"):
        search(make_index(ROWS), "  ")


def test_index_of_another_embedding_is_not_searched(make_index: MakeIndex) -> None:
    index = make_index(ROWS)
    about = json.loads((index / "index.json").read_text())
    about["madeWith"]["digest"] = "0" * 64
    (index / "index.json").write_text(json.dumps(about))
    with pytest.raises(BadInput, match="another embedding") as told:
        search(index, "hello")
    assert "--fresh index" in told.value.hint
