"""What a run needs, before anything is spent: parameters, memory, disk, steps, time and cost.

`plan(spec, facts, machine)` is arithmetic alone; `facts.py` gathers what is known, `render.py` shows it. Neither torch
nor polars is imported.
"""

from __future__ import annotations

from trainwright.plan.estimate import check, plan
from trainwright.plan.machines import cluster_machine
from trainwright.plan.render import render, to_json
from trainwright.plan.values import Facts, Machine, Plan, SourceFacts, StageLine

__all__ = [
    "Facts",
    "Machine",
    "Plan",
    "SourceFacts",
    "StageLine",
    "check",
    "cluster_machine",
    "plan",
    "render",
    "to_json",
]
