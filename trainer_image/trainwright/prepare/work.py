"""What every phase of prepare is told: settings, seed, which sources are for evaluation, the folder of work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainwright.api import Prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The same for all phases, slices and workers."""

    prepare: Prepare
    seed: int
    uses: dict[str, str | None]
    """`use` of each source, by its name; absent sources count as None."""
    folder: Path
    """Where phases leave files for each other."""
    output: Path
    """The stage's output."""

    @property
    def spared(self) -> list[str]:
        """Names of the sources whose rows no filter may take."""
        return sorted(source for source, use in self.uses.items() if use in ("Validation", "Test"))
