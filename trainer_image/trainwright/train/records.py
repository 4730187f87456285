"""The curves on disk: steps.jsonl and evaluations.jsonl, one JSON object a line, cut back on resume."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.train.judgement import Validation

STEPS = "steps.jsonl"
EVALUATIONS = "evaluations.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Writes the curves; only rank 0 does."""

    folder: Path
    writes: bool

    def cut_back(self, step: int, validations: Sequence[Validation]) -> None:
        """Forget what lies behind `step`: it is done again. A line that a crash left half-written goes too."""
        if not self.writes:
            return
        kept = [line for line in self._lines() if line["step"] <= step]
        self._replace(STEPS, kept)
        self._replace(EVALUATIONS, [validation.as_json() for validation in validations])

    def step(self, **figures: Any) -> None:
        """Add a step."""
        self._append(STEPS, figures)

    def validation(self, validation: Validation) -> None:
        """Add a validation."""
        self._append(EVALUATIONS, validation.as_json())

    def sync(self) -> None:
        """Bring all lines to disk; a checkpoint must never be ahead of them."""
        if self.writes:
            for name in (STEPS, EVALUATIONS):
                with (self.folder / name).open("ab") as file:
                    os.fsync(file.fileno())

    def _append(self, name: str, figures: dict[str, Any]) -> None:
        if self.writes:
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        lines = []
        if (self.folder / STEPS).exists():
            for text in (self.folder / STEPS).read_text("utf-8").splitlines():
                try:
                    lines.append(json.loads(text))
                except ValueError:
                    continue
        return lines

    def _replace(self, name: str, lines: Sequence[dict[str, Any]]) -> None:
        temporary = self.folder / f".{name}.tmp"
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / name)
