"""One tiny run for the tests of evaluate; those that change something take a copy."""

from __future__ import annotations

import pytest

from tests.tiny_run import TinyRun, shared_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyRun:
    return shared_run(tmp_path_factory)
