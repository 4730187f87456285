"""Opens a source's file as a stream of plain bytes: .gz and .zst are unpacked on the way.

A packed file that ends early is an error after whatever could be read, never a silent end.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO, cast

import zstandard

from trainwright.errors import BadInput
from trainwright.storage import File

PACKED = (".gz", ".zst")
_CHUNK_BYTES = 1 << 18


def open_plain(file: File) -> BinaryIO:
    """Open a file for reading its unpacked bytes once, front to back (Parquet, which is never packed, may seek)."""
    if file.name.endswith(".gz"):
        return cast("BinaryIO", _Checked(cast("BinaryIO", gzip.GzipFile(fileobj=file.open())), file.name))
    if file.name.endswith(".zst"):
        return cast("BinaryIO", _Checked(cast("BinaryIO", _Zstd(file.open())), file.name))
    return file.open()


def plain_name(name: str) -> str:
    """The name without the suffix of a packed file."""
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return name


class _Checked(io.RawIOBase):
    """Turns the errors of unpacking into one sentence about the file."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except EOFError as error:
            raise BadInput(
                f"{self._name} is truncated: the packed data ends early", hint="copy or download it again"
            ) from error
        except (OSError, zlib.error, zstandard.ZstdError) as error:
            raise BadInput(f"{self._name} cannot be unpacked: {error}", hint="copy or download it again") from error

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Zstd(io.RawIOBase):
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

    def close(self) -> None:
        self._packed.close()
        super().close()
