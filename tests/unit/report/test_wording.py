"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright.report import wording


@pytest.mark.parametrize(
    ("written", "value", "expected"),
    [
        (wording.count, 131699, "131,699"),
        (wording.count, None, "–"),
        (wording.count, float("nan"), "–"),
        (wording.compact, 134515008, "134.5 M"),
        (wording.compact, 10000, "10 k"),
        (wording.compact, 846, "846"),
        (wording.figure, 3.7496, "3.750"),
        (wording.figure, 0, "0"),
        (wording.figure, 0.000015, "1.50e-05"),
        (wording.share, 0.0041, "0.4 %"),
        (wording.share, 0.0001, "< 0.1 %"),
        (wording.share, 0, "0 %"),
        (wording.share, 1.0, "100 %"),
        (wording.duration, 8.43, "8.4 s"),
        (wording.duration, 155.2, "2 min 35 s"),
        (wording.duration, 3600, "1 h"),
        (wording.duration, 187_000, "2 d 3 h"),
        (wording.size, 271_431_680, "271 MB"),
        (wording.factor, 0.0015, "0.0015"),
        (wording.factor, 5, "5"),
        (wording.words_of, "nearDuplicate", "near duplicate"),
        (wording.title_of, "personalData", "Personal data"),
        (wording.short_source, "pkg://chitchat_dataset/dataset.json", "chitchat_dataset/dataset.json"),
    ],
)
def test_value_is_written_as_people_read_it(written: Any, value: Any, expected: str) -> None:
    assert written(value) == expected
