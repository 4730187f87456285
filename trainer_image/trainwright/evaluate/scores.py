"""Scores of generated texts through the `evaluate` library, with the metric modules of `metrics/` loaded by path.

Nothing is fetched: a module given by its path is copied into a folder for modules and imported from there. That
folder and the library's cache are temporary, so that an unwritable home or another user's cache cannot matter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

METRICS = Path(__file__).with_name("metrics")
FIGURES = {"bleu": ("bleu",), "rouge": ("rouge1", "rouge2", "rougeL"), "probes": ("probes",)}
"""The figures that each module gives, all from 0 to 1."""


def score(metric: str, predictions: Sequence[str], references: Sequence[str]) -> Mapping[str, Any]:
    """Compute one metric (bleu, rouge or probes) over pairs of texts.

    Returns its figures (see FIGURES) and `signature`, or `met` for probes. Without any pair the figures are None.
    """
    if not predictions:
        return dict.fromkeys(FIGURES[metric])
    result: Mapping[str, Any] = _module(metric).compute(predictions=list(predictions), references=list(references))
    return result


@cache
def _module(metric: str) -> Any:
    import evaluate

    folder = _modules_folder()
    evaluate.config.HF_MODULES_CACHE = Path(folder)
    return evaluate.load(str(METRICS / f"{metric}.py"), cache_dir=folder, keep_in_memory=True)


@cache
def _modules_folder() -> str:
    """A folder that lives as long as this process."""
    global _FOLDER
    _FOLDER = tempfile.TemporaryDirectory(prefix="trainwright-metrics-")
    return _FOLDER.name


_FOLDER: tempfile.TemporaryDirectory[str] | None = None
