"""index: prepared rows → vectors of their exchanges, searchable in LanceDB.

In: prepare's rows. Out: `vectors/part-*.parquet` and `lancedb/`, one row per exchange that is a target.
Run alone: python -m trainwright index --config run.json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An exchange that a search found: its cosine with the query and where it is from. `row` is the row's id in hex."""

    score: float
    prompt: str
    response: str
    source: str
    split: str
    row: str


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """Embed every target exchange of the prepared rows and load them into a new LanceDB."""
    from trainwright.index.stage import index_rows

    return index_rows(config, inputs, output)


def search(folder: Path, text: str, limit: int = 10, *, split: str | None = "train") -> list[Hit]:
    """The exchanges nearest to `text` in the output `folder` of this stage, best first; `split=None` looks in all."""
    from trainwright.index.search import nearest

    return nearest(folder, text, limit, split=split)
