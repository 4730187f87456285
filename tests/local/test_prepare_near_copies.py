"""Preparation of 30,000 rows made from six forms: what is compared grows with the rows, not with their square."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.prepare.chat import filled_forms
from tests.unit.prepare.preparing import prepare
from tests.unit.prepare.test_near_copies import ONLY, SPLIT, Compared, compared

__all__ = ["compared"]


@pytest.mark.parametrize(("numbers", "most"), [(True, 2), (False, 80)])
def test_thirty_thousand_filled_forms_cost_a_bounded_number_of_comparisons_a_row(
    tmp_path: Path, compared: Compared, numbers: bool, most: int
) -> None:
    prepare(tmp_path, filled_forms(30_000, numbers=numbers), settings=ONLY, split=SPLIT)
    assert compared() <= most * 30_000
