"""One tiny run for the tests of export; those that change something take a copy."""

from __future__ import annotations

import pytest
from tests.tiny_run import TinyRun, tiny_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyRun:
    return tiny_run(tmp_path_factory.mktemp("export") / "tiny")
