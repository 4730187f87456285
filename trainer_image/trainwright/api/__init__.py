"""The TrainingRun, v1alpha1: models of spec and status, their rules, the YAML loader and what is made of them.

`load_run(path)` reads and judges a file; `Spec` and `Status` are what the rest of the product works with. Importing this
costs no torch, polars or numpy.
"""

from __future__ import annotations

from trainwright.api.run import Spec, TrainingRun, resolve
from trainwright.api.status import Status

__all__ = ["Spec", "Status", "TrainingRun", "resolve"]
