"""Cuts large files of lines into pieces that several processes can read at once.

Only files of this machine that are not packed are cut, always at the same places: after the first line end behind each
multiple of the piece size. Lines are then counted, so that each piece knows the number of its first line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

from trainwright.ingest.limits import Limits
from trainwright.ingest.streams import PACKED
from trainwright.storage import File
from trainwright.workers import Workers

CUT = frozenset({"jsonl", "text"})
"""Formats in which every line end is the end of a record."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some whole lines of a file: bytes from `start` to before `end`, and the number of the first line."""

    path: Path
    start: int
    end: int
    first_line: int = 0

    def open(self) -> BinaryIO:
        """The bytes of the piece as a stream."""
        return io.BufferedReader(_Stretch(self.path, self.start, self.end), _CHUNK_BYTES)


def pieces_of(files: list[tuple[File, str]], limits: Limits, workers: Workers) -> list[list[Piece | None]]:
    """The pieces of each file with its format, in order; a single None where it is read as a whole."""
    cuts = [list(_cut(file, format_name, limits)) for file, format_name in files]
    counts = workers.map(count_lines, [piece for cut in cuts for piece in cut[:-1]])
    return [list(_numbered(cut, counts)) if len(cut) > 1 else [None] for cut in cuts]


def count_lines(piece: Piece) -> int:
    """The line ends in a piece."""
    with piece.open() as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_CHUNK_BYTES), b""))


def _cut(file: File, format_name: str, limits: Limits) -> Iterator[Piece]:
    if file.local is None or format_name not in CUT or file.name.endswith(PACKED):
        return
    bounds = [0]
    with file.local.open("rb") as stream:
        for target in range(limits.piece_bytes, file.size_bytes, limits.piece_bytes):
            if target >= bounds[-1]:
                bounds.append(_after_line(stream, target))
    for start, end in pairwise([*bounds, file.size_bytes]):
        if end > start:
            yield Piece(path=file.local, start=start, end=end)


def _after_line(stream: BinaryIO, position: int) -> int:
    """The position behind the first line end at or after `position`; the end of the file if there is none."""
    stream.seek(position)
    while chunk := stream.read(_CHUNK_BYTES):
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(chunk)
    return position


def _numbered(cut: list[Piece], counts: Iterator[int]) -> Iterator[Piece]:
    firsts = accumulate((next(counts) for _ in cut[:-1]), initial=0)
    for piece, first in zip(cut, firsts, strict=True):
        yield Piece(path=piece.path, start=piece.start, end=piece.end, first_line=first)


class _Stretch(io.RawIOBase):
    def __init__(self, path: Path, start: int, end: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(start)
        self._left = end - start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
