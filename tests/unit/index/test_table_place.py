"""Where the embedding table is looked for: in the image, then in the cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from trainwright.index.table import ensure_table, folder_of_table


def test_a_table_that_the_image_brings_is_used_where_it_lies(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = folder_of_table()
    place = tmp_path / "image" / "embedding" / cached.name
    shutil.copytree(table, place)
    monkeypatch.setenv("TRAINWRIGHT_BUILT", str(tmp_path / "image"))
    assert ensure_table() == place


def test_an_image_without_this_table_leaves_it_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = folder_of_table()
    monkeypatch.setenv("TRAINWRIGHT_BUILT", str(tmp_path / "image"))
    assert folder_of_table() == cached
