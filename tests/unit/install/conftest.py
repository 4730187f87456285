"""helm, and the objects that are installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chart import Key, Object, helm_program, plain, rendered


@pytest.fixture(scope="session")
def helm(needs: Callable[[str], str]) -> Path:
    """The helm program."""
    return helm_program(needs)


@pytest.fixture(scope="session")
def usual(helm: Path) -> dict[Key, Object]:
    """The chart with its default values."""
    return rendered(helm)


@pytest.fixture(scope="session")
def manifests() -> dict[Key, Object]:
    """What is in manifests/."""
    return plain()
