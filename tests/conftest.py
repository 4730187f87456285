"""What tests may need and a machine may lack: such tests skip with a name, and the summary counts them.

`needs("chromium")` and `needs("go")` give the program's path, `needs("root")` and `needs("package:NAME")` just require;
`small_disk` needs root that may mount. With TRAINWRIGHT_REQUIRE=all (or a list of names) a missing thing fails the test
instead of skipping it. `golden` compares with a kept text, or writes it with --update-golden.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.chromium import find_chromium

REQUIRE = "TRAINWRIGHT_REQUIRE"
UPDATE_GOLDEN = "--update-golden"
PREFIX = "needs "


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option under which golden texts are written anew instead of compared."""
    parser.addoption(UPDATE_GOLDEN, action="store_true", help="write golden texts instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a file that holds what it should be, or writes the file with --update-golden."""

    def compare(file: Path, text: str) -> None:
        if request.config.getoption(UPDATE_GOLDEN):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        assert text == file.read_text("utf-8"), f"if {file.name} is to change: pytest {UPDATE_GOLDEN}, and look at it"

    return compare


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """The function that requires a thing by name and gives what it is found as."""
    return require


def require(name: str) -> str:
    """Return the thing's path or name; skip the test if this machine lacks it, or fail if it is required."""
    return _find(name) or _miss(name)


def _miss(name: str) -> NoReturn:
    required = os.environ.get(REQUIRE, "").split(",")
    if "all" in required or name in required:
        pytest.fail(f"{PREFIX}{name}, and {REQUIRE} asks for it", pytrace=False)
    pytest.skip(f"{PREFIX}{name}")


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], Path]]:
    """Mounts a file system of so many bytes at a folder, for this test alone; needs root that may mount."""
    mounted: list[Path] = []

    def mount(folder: Path, size_bytes: int) -> Path:
        require("root")
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
        if subprocess.run(command, check=False).returncode:
            _miss("mount")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _find(name: str) -> str | None:
    if name == "chromium":
        return find_chromium()
    if name == "go":
        return shutil.which(name)
    if name == "root":
        return name if os.geteuid() == 0 else None
    kind, _, package = name.partition(":")
    if kind == "package":
        return name if importlib.util.find_spec(package) is not None else None
    raise ValueError(f"nobody knows how to look for {name!r}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run for want of what."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    missing = Counter(str(reason).removeprefix("Skipped: ") for reason in reasons)
    wanted = {reason: n for reason, n in missing.items() if reason.startswith(PREFIX)}
    if wanted:
        told = ", ".join(f"{n} {reason}" for reason, n in sorted(wanted.items()))
        terminalreporter.write_line(
            f"not run on this machine: {told} ({REQUIRE}=all makes this a failure)", yellow=True
        )
