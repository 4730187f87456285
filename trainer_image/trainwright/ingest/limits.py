"""Sizes at which ingest cuts or refuses.

The two of partitions decide what a stage's pods share among them, so they are part of the output; tests pass small
ones.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on rows, files and partitions; the defaults are the product's."""

    partition_bytes: int = 64_000_000
    """Text of one partition."""
    partition_exchanges: int = 100_000
    """Exchanges of one partition."""
    row_bytes: int = 8 << 20
    """Longest record as it stands in its file; a longer one is a bad row and is never held in memory as a whole."""
    block_bytes: int = 1 << 20
    """How much of a file is read at once."""
    piece_bytes: int = 64 << 20
    """From this size on a file of lines is cut into pieces that processes share."""
    alone_bytes: int = 128 << 20
    """Up to this size of all sources one process reads them: starting more would take longer."""
    json_bytes: int = 2 << 30
    """Largest JSON document (not JSON Lines), unpacked: it is held in memory."""
    yaml_bytes: int = 100 << 20
    """Largest YAML document, unpacked."""
    turns: int = 512
    """Longest conversation; a longer one is cut into segments of one group."""


LIMITS = Limits()
