"""What every phase of prepare is told, and the pieces it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from trainwright.prepare.slices import Slice

if TYPE_CHECKING:
    from trainwright.api import Prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The same for all phases, slices and workers."""

    prepare: Prepare
    seed: int
    uses: dict[str, str | None]
    """`use` of each source, by its name; None lets data.split decide."""
    lexicon: tuple[str, ...] | None = None
    """Offensive words of the user's own instead of the built-in ones."""
    rates: dict[str, float] = field(default_factory=dict)
    """The share of each source's exchanges in which boilerplate is looked for."""
    kept_columns: tuple[str, ...] = ()
    """Columns that sources carry along in metadata."""
    folder: Path
    """Where phases leave files for each other."""
    output: Path
    """The stage's output."""

    @property
    def spared(self) -> list[str]:
        """Names of the sources whose rows no filter may take."""
        return sorted(source for source, use in self.uses.items() if use in ("Validation", "Test"))

    @property
    def near(self) -> float:
        """Similarity from which exchanges are alike, also where only links between splits are looked for."""
        return self.prepare.deduplicate.near or 0.7

    @property
    def boilerplate(self) -> Path:
        """The grams that take no part in comparisons."""
        return self.folder / "boilerplate.npy"


def plain(prepare: Prepare) -> Prepare:
    """The same settings as plain values: to import their models costs each worker a third of a second."""
    return cast("Prepare", _namespace(prepare.model_dump(by_alias=False)))


def _namespace(values: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        **{name: _namespace(value) if isinstance(value, dict) else value for name, value in values.items()}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTask:
    """One slice to take through a phase."""

    work: Work
    slice: Slice
