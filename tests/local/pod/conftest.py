"""The command line as a fixture, as for the local runner's tests."""

from __future__ import annotations

from tests.local.run.conftest import trainwright as trainwright  # noqa: PLC0414
