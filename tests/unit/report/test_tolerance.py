"""A figure that is missing or of another kind than expected never costs the page: a run of hours ends with a report."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trainwright.report import run

from tests.sample_run import sample_facts, sample_run

ODD: tuple[Any, ...] = (None, "text", -1, 0, 1e300, float("nan"), [], {}, [None], {"a": None}, True)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) at any depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from places(item)


@pytest.mark.parametrize("seed", range(40))
def test_odd_figures_never_cost_the_page(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    facts = sample_facts()
    kept = [made["files"] for made in facts["stages"].values()]
    for _ in range(4):
        found = [place for made in facts["stages"].values() for place in places(made["metrics"])]
        found += [place for files in kept for content in files.values() for place in places(content)]
        found += list(places(facts["plan"]))
        container, key = dice.choice(found)
        if isinstance(container, dict) and dice.random() < 0.3:
            del container[key]
        else:
            container[key] = dice.choice(ODD)
    config, inputs = sample_run(tmp_path, facts)
    run(config, inputs, tmp_path)
    assert "<h1>quickstart</h1>" in (tmp_path / "report.html").read_text("utf-8")
