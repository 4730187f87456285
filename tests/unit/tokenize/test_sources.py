"""What the weight of a source means, and that the books on rows, repeats and rows never seen are right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainwright.tokenize.repeats import repeats, uniform

from tests.factories import conversation
from tests.unit.tokenize.tokenizing import DATA, tokenize


def rows(name: str) -> list[dict[str, Any]]:
    lines = (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]
    return [
        conversation(pair["question"], pair["answer"], source=f"./{name}", record=number)
        for number, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(("weight", "small"), [(None, 10), (3, 30), (1.0, 10)])
def test_an_epoch_holds_every_row_as_often_as_its_source_weighs(
    tmp_path: Path, weight: float | None, small: int
) -> None:
    sources = [{"uri": "./small", **({"weight": weight} if weight else {})}, {"uri": "./large"}]
    found = tokenize(tmp_path, rows("small") + rows("large"), sources=sources)
    texts = [sequence.text for sequence in found.sequences()]
    assert sum("SMALL" in text for text in texts) == small
    assert sum("LARGE" in text for text in texts) == 200
    assert {text.count("SMALL") + text.count("LARGE") for text in texts} == {2}
    assert found.report.metrics["perSource"] == {
        "./small": {"rows": 10, "repeats": small, "sequences": small, "neverSeen": 0},
        "./large": {"rows": 200, "repeats": 200, "sequences": 200, "neverSeen": 0},
    }


def test_a_fraction_takes_rows_and_counts_those_never_seen(tmp_path: Path) -> None:
    sources = [{"uri": "./small"}, {"uri": "./large", "weight": 0.25}]
    found = tokenize(tmp_path, rows("small") + rows("large"), sources=sources)
    large = found.report.metrics["perSource"]["./large"]
    assert 30 <= large["repeats"] <= 70
    assert large["neverSeen"] == 200 - large["repeats"]
    seen = Counter(sequence.row for sequence in found.sequences())
    assert set(seen.values()) == {1} and len(seen) == 10 + large["repeats"]


def test_evaluation_rows_ignore_weights(tmp_path: Path) -> None:
    held_out = [{**row, "split": "validation"} for row in rows("large")]
    sources = [{"uri": "./small", "weight": 2}, {"uri": "./large", "weight": 0.01}]
    found = tokenize(tmp_path, rows("small") + held_out, sources=sources)
    assert found.shards("validation").sequence_count == 200
    assert found.report.counts["validationSequences"] == 200


def test_the_weight_of_a_row_is_multiplied_with_that_of_its_source(tmp_path: Path) -> None:
    balanced = [{**row, "weight": 0.5 if number < 5 else 1.0} for number, row in enumerate(rows("small"))]
    found = tokenize(tmp_path, balanced, sources=[{"uri": "./small", "weight": 2}])
    assert sorted(Counter(sequence.row for sequence in found.sequences()).values()) == [1] * 5 + [2] * 5


def ids(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (count, 16), dtype=np.uint8)


def test_a_row_is_taken_or_not_whatever_other_rows_there_are() -> None:
    all_ids, weights = ids(1000), np.full(1000, 0.3)
    together = repeats(all_ids, weights, seed=7)
    assert together[::3].tolist() == repeats(all_ids[::3], weights[::3], seed=7).tolist()
    assert together.tolist() != repeats(all_ids, weights, seed=8).tolist()


def test_the_share_taken_is_the_fraction() -> None:
    taken = repeats(ids(20_000), np.full(20_000, 2.3), seed=42)
    assert set(taken.tolist()) == {2, 3}
    assert abs(taken.mean() - 2.3) < 0.01


def test_hashes_fill_the_interval_evenly() -> None:
    values = uniform(ids(20_000), seed=0)
    assert values.min() >= 0 and values.max() < 1
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / 2000 - 1).max() < 0.1
