"""The loss of a unigram model: what a model reaches that knows only how often each token is answered.

A trained model's validation loss is read against it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def unigram_loss(training: npt.NDArray[np.int64], validation: npt.NDArray[np.int64]) -> float | None:
    """Cross-entropy, in nats per token, of validation counts under training counts with one added to each.

    Both are counts per token id. None without validation targets.
    """
    total = int(validation.sum())
    if not total:
        return None
    log_probability = np.log(training + 1.0) - math.log(float(training.sum()) + len(training))
    return float(-(validation * log_probability).sum() / total)
