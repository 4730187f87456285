"""Slices cover every row of a part once, in order, and are about equally large."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from trainwright.formats.rows import part_files, write_part
from trainwright.prepare import slices
from trainwright.prepare.slices import slices_of

from tests.factories import rows_frame
from tests.unit.prepare.chat import chat


@pytest.mark.parametrize("slice_bytes", [1_000, 20_000, 100_000_000])
def test_slices_cover_every_row_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_bytes: int
) -> None:
    rows = rows_frame(*chat(500))
    for number in (0, 3):
        write_part(rows, tmp_path, number)
    for path in part_files(tmp_path):
        pl.read_parquet(path).write_parquet(path, row_group_size=70)
    monkeypatch.setattr(slices, "SLICE_BYTES", slice_bytes)
    found = slices_of(tmp_path)
    assert pl.concat([piece.read() for piece in found]).equals(pl.concat([rows, rows]))
    assert {piece.partition for piece in found} == {0, 3}
    assert len({(piece.partition, piece.number) for piece in found}) == len(found)
    assert len(found) == {1_000: 16, 100_000_000: 2}.get(slice_bytes, len(found))


def test_an_empty_part_is_one_empty_slice(tmp_path: Path) -> None:
    write_part(rows_frame(), tmp_path, 0)
    (only,) = slices_of(tmp_path)
    assert only.read().height == 0
