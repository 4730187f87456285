"""How sequences lie in the rows of a batch: all of them, narrow, hardly padded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from trainwright.formats.spread import LARGEST_PADDING, spread

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@given(LENGTHS)
def test_every_sequence_lies_in_one_row(lengths: list[int]) -> None:
    assert sorted(number for row in spread(lengths) for number in row) == list(range(len(lengths)))


@given(LENGTHS)
def test_padding_is_small(lengths: list[int]) -> None:
    rows = spread(lengths)
    width = max(sum(lengths[number] for number in row) for row in rows)
    assert len(rows) * width <= (1 + LARGEST_PADDING) * sum(lengths)


def test_many_short_sequences_give_many_narrow_rows() -> None:
    assert len(spread([32] * 16)) == 16
    assert len(spread([64, 30, 34, 33, 31, 20, 44, 64])) == 5


def test_one_long_sequence_keeps_the_row_wide() -> None:
    assert len(spread([400, 50, 60])) == 1
