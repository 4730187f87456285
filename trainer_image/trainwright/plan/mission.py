"""The two formulas that came with the project's mission, to the digit; `plan` shows them beside its own estimates.

Preparation: rows × 2.1 ms ÷ machines. Training: 6 · parameters · rows · epochs ÷ FLOPS ÷ devices, with 156 TFLOPS a
device (half of an A100's bf16 peak, and its TF32 peak). The second counts rows where the cost is per token: it is right
for rows of one token. `times.training_seconds` counts tokens, so it is longer by the mean length of a row.
"""

from __future__ import annotations

PREPARATION_S_PER_ROW = 0.0021
TRAINING_FLOPS = 156e12
FLOPS_PER_PARAMETER = 6


def preparation_seconds(rows: int, machines: int) -> float:
    """Return rows × 2.1 ms ÷ machines, in seconds: 200 M rows take 116.67 h on one machine, 7.29 h on 16."""
    return rows * PREPARATION_S_PER_ROW / machines


def training_seconds(parameters: int, rows: int, epochs: float, devices: int) -> float:
    """Return 6 · parameters · rows · epochs ÷ 156 TFLOPS ÷ devices, in seconds.

    3 B parameters, 200 M rows and 1,000 epochs take 267.09 days on one device, 721,153.85 s on 32.
    """
    return FLOPS_PER_PARAMETER * parameters * rows * epochs / TRAINING_FLOPS / devices


def nominal(parameters: int) -> int:
    """Round billions of parameters to whole ones, as the mission does: 3,212,749,824 is 3 B; fewer stay as they are."""
    billion = 1_000_000_000
    return round(parameters / billion) * billion if parameters >= billion else parameters
