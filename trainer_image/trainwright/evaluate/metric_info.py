"""What every metric module of ours tells the `evaluate` library about itself: one text in, one text out."""

from __future__ import annotations

import datasets
import evaluate


def metric_info(description: str, inputs: str = "predictions and references: one text each") -> evaluate.MetricInfo:
    """The description of a metric over pairs of texts."""
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description=inputs,
        features=datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")}),
    )
