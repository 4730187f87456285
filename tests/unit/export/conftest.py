"""Tiny runs for the tests of export, with all weights and with an adapter; those that change something take a copy."""

from __future__ import annotations

import pytest

from tests.tiny_run import TinyRun, tiny_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> TinyRun:
    return tiny_run(tmp_path_factory.mktemp("export") / "tiny")


@pytest.fixture(scope="session")
def tiny_lora(tmp_path_factory) -> TinyRun:
    return tiny_run(tmp_path_factory.mktemp("export-lora") / "tiny", lora=True)
