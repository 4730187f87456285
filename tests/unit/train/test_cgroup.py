"""What is read of the kernel's files of control groups, of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainwright import cgroup
from trainwright.cgroup import Memory

MEMBERSHIP = {2: "0::/job\n", 1: "12:cpu,cpuacct:/job\n5:memory:/job\n"}


def group(root: Path, version: int, files: dict[str, str], *, path: str = "job") -> tuple[Path, Path]:
    """A tree of control groups as a container sees it."""
    folder = root / path if version == 2 else root / "memory" / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    (root / "membership").write_text(MEMBERSHIP[version])
    return root, root / "membership"


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (2, {"memory.events": "low 0\noom 1\noom_kill 2\n"}),
        (1, {"memory.oom_control": "oom_kill_disable 0\noom_kill 2\n"}),
    ],
)
@pytest.mark.parametrize("path", ["job", ""])
def test_the_kernels_kills_are_read(tmp_path: Path, version: int, files: dict[str, str], path: str) -> None:
    assert cgroup.oom_kills(*group(tmp_path, version, files, path=path)) == 2


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (2, {"memory.max": "536870912\n", "memory.peak": "536866816\n"}),
        (1, {"memory.limit_in_bytes": "536870912\n", "memory.max_usage_in_bytes": "536866816\n"}),
    ],
)
def test_the_limit_and_the_most_that_was_held_are_read(tmp_path: Path, version: int, files: dict[str, str]) -> None:
    assert cgroup.memory(*group(tmp_path, version, files)) == Memory(limit_bytes=1 << 29, peak_bytes=536866816)


@pytest.mark.parametrize(
    ("version", "files"),
    [(2, {"memory.max": "max\n"}), (1, {"memory.limit_in_bytes": "9223372036854771712\n"})],
)
def test_no_limit_is_told_from_one(tmp_path: Path, version: int, files: dict[str, str]) -> None:
    assert cgroup.memory(*group(tmp_path, version, files)) == Memory()


def test_without_control_groups_nothing_is_known(tmp_path: Path) -> None:
    assert cgroup.oom_kills(tmp_path, tmp_path / "absent") == 0
    assert cgroup.memory(tmp_path, tmp_path / "absent") == Memory()
