"""Charts: what is drawn stands for the figures, in a frame that holds all of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainwright.report.charts import Chart, Level, Series, bar, histogram, line_chart, smoothed

losses = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=60)


def chart(points: list[tuple[float, float]], **changes: object) -> str:
    series = [Series(name="validation", kind="validation", points=points, dots=True)]
    return str(line_chart(Chart(title="Loss", description="d", series=series, **changes)))  # type: ignore[arg-type]


@given(losses)
def test_every_point_lies_inside_the_frame(values: list[float]) -> None:
    drawn = chart([(float(step), value) for step, value in enumerate(values)])
    places = [float(n) for n in re.findall(r'c[xy]="(-?[\d.]+)%"', drawn)]
    assert len(places) == 2 * len(values)
    assert all(-0.001 <= place <= 100.001 for place in places)


def test_points_that_are_no_numbers_are_left_out() -> None:
    drawn = chart([(0, 4.0), (1, float("nan")), (2, float("inf")), (3, 3.0)])
    assert drawn.count("<circle") == 2
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_nothing_to_draw_draws_nothing() -> None:
    assert chart([]) == ""
    assert str(histogram([], [], title="t", unit="u")) == ""
    assert str(histogram([0, 1], [0], title="t", unit="u")) == ""


def test_level_is_inside_the_frame_and_named() -> None:
    drawn = chart([(0, 3.0), (5, 2.0)], levels=[Level(name="unigram", value=6.548)])
    assert "unigram 6.548" in drawn


def test_larger_losses_are_drawn_higher() -> None:
    first, last = re.findall(r'cy="([\d.]+)%"', chart([(0, 4.0), (1, 3.0)]))
    assert float(first) < float(last)


def test_bars_of_a_histogram_are_as_high_as_their_counts() -> None:
    drawn = str(histogram([0, 10, 20], [5, 10], title="Length", unit="characters"))
    heights = [float(h) for h in re.findall(r'class="bar".*?height="([\d.]+)%"', drawn)]
    assert heights[1] == 2 * heights[0]
    assert "10–20 characters: 10" in drawn


def test_part_that_is_not_nothing_can_be_seen() -> None:
    assert 'width="0.500%"' in str(bar([("dropped", 0.9, 0.00001)]))
    assert "rect" not in str(bar([("dropped", 0.9, 0.0)]))


def test_average_of_equal_values_is_that_value() -> None:
    assert [y for _, y in smoothed([(step, 2.5) for step in range(50)])] == pytest.approx([2.5] * 50)
