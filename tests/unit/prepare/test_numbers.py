"""Masks of numbers never say that two texts state other numbers when they do not."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from trainwright.prepare.duplicates.numbers import have_other_numbers, masks_differ, number_masks

TEXTS = st.lists(st.text("0123456789٣ ab", max_size=12), min_size=2, max_size=8)


@given(TEXTS)
def test_a_mask_tells_only_texts_apart_that_state_other_numbers(texts: list[str]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    left, right = (side.flatten() for side in np.mgrid[: len(texts), : len(texts)])
    masks = number_masks(series)
    assert not (masks_differ(masks[left], masks[right]) & ~have_other_numbers(series, left, right)).any()


def test_masks_tell_nearly_all_running_numbers_apart() -> None:
    texts = pl.Series([f"order {n} has {n * 7 % 1000} books" for n in range(200)])
    left, right = np.triu_indices(200, 1)
    masks = number_masks(texts)
    assert masks_differ(masks[left], masks[right]).mean() > 0.9
