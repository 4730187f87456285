"""What the kernel says of this container's memory: its limit, the most it held, and how often it was killed for it.

Reads the files of cgroups v2 (memory.max, memory.peak, memory.events) and v1 (memory.limit_in_bytes,
memory.max_usage_in_bytes, memory.oom_control), of this process's own group or, where only that is mounted, of the root.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
UNLIMITED_BYTES = 1 << 60
"""v1 says "no limit" by a number near 2^63."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of the group this process is in; None: not limited, or not known."""

    limit_bytes: int | None = None
    peak_bytes: int | None = None


def memory(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Memory:
    """The limit of this group and the most memory that it ever held."""
    for version_2, version_1 in _folders(root, membership):
        for folder, limit, peak in (
            (version_2, "memory.max", "memory.peak"),
            (version_1, "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
        ):
            if (folder / limit).exists():
                bound = _number(folder / limit)
                unlimited = bound is None or bound >= UNLIMITED_BYTES
                return Memory(limit_bytes=None if unlimited else bound, peak_bytes=_number(folder / peak))
    return Memory()


def oom_kills(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """How many processes of this group the kernel has killed for memory."""
    for version_2, version_1 in _folders(root, membership):
        for file in (version_2 / "memory.events", version_1 / "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                fields = dict(line.split() for line in file.read_text().splitlines())
                if "oom_kill" in fields:
                    return int(fields["oom_kill"])
    return 0


def _folders(root: Path, membership: Path) -> Iterator[tuple[Path, Path]]:
    """The group's folder in v2 and in v1, then the root's: a container may see only its own part of the tree."""
    try:
        entries = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        entries = []
    own = [path.lstrip("/") for _, controllers, path in entries if not controllers or "memory" in controllers]
    for path in (*own, ""):
        yield root / path, root / "memory" / path


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
