"""Tiny runs for the tests of export, with all weights and with an adapter; those that change something take a copy."""

from __future__ import annotations

import pytest

from tests.tiny_run import TinyRun, shared_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyRun:
    return shared_run(tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_lora(tmp_path_factory) -> TinyRun:
    return shared_run(tmp_path_factory, lora=True)
