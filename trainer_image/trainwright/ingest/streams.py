"""Opens a source's file as a stream of plain bytes: .gz and .zst are unpacked on the way.

A packed file that ends early is an error after whatever could be read, never a silent end.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO, Protocol, cast

import zstandard

from trainwright.errors import BadInput
from trainwright.storage import File

PACKED = (".gz", ".zst")
_CHUNK_BYTES = 1 << 18


def open_plain(file: File) -> BinaryIO:
    """Open a file for reading its unpacked bytes once, front to back (Parquet, which is never packed, may seek)."""
    stored = file.open()
    if file.name.endswith(".gz"):
        return cast("BinaryIO", _Unpacked(gzip.GzipFile(fileobj=stored), stored, file.name))
    if file.name.endswith(".zst"):
        return cast("BinaryIO", _Unpacked(_Zstd(stored), stored, file.name))
    return stored


def plain_name(name: str) -> str:
    """The name without the suffix of a packed file."""
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return name


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Unpacked(io.RawIOBase):
    """Turns the errors of unpacking into one sentence about the file, and closes what is stored."""

    def __init__(self, unpacked: _Source, stored: BinaryIO, name: str) -> None:
        self._unpacked, self._stored, self._name = unpacked, stored, name

    def read(self, size: int = -1) -> bytes:
        try:
            return self._unpacked.read(size)
        except EOFError as error:
            raise BadInput(
                f"{self._name} is truncated: the packed data ends early", hint="copy or download it again"
            ) from error
        except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
            raise BadInput(f"{self._name} cannot be unpacked: {error}", hint="copy or download it again") from error

    def close(self) -> None:
        self._stored.close()
        super().close()


class _Zstd:
    """Unpacks Zstandard frames one after another; raises EOFError where the last one is cut off."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = b""

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = [self._ready]
        have = len(self._ready)
        self._ready = b""
        while size < 0 or have < size:
            part = self._unpack()
            if part is None:
                break
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        if 0 <= size < len(data):
            data, self._ready = data[:size], data[size:]
        return data

    def _unpack(self) -> bytes | None:
        packed = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame, self._begun = zstandard.ZstdDecompressor().decompressobj(), False
        packed = packed or self._packed.read(_CHUNK_BYTES)
        if not packed:
            if self._begun:
                raise EOFError
            return None
        self._begun = True
        return self._frame.decompress(packed)
