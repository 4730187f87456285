"""Plain text: each line that is not blank is a record with the one column `text`."""

from __future__ import annotations

from collections.abc import Iterator

from trainwright.ingest.lines import line_blocks, too_long_reason, utf8_reason
from trainwright.ingest.records import Block, Opened


def read(file: Opened) -> Iterator[Block]:
    """Yield the lines of a text file."""
    for lines in line_blocks(file):
        block = Block(checked=len(lines.lines))
        for number, line in enumerate(lines.lines, lines.first):
            if line is None:
                block.refuse(number, "tooLong", too_long_reason(file))
                continue
            try:
                text = line.removesuffix(b"\r").decode()
            except UnicodeDecodeError as error:
                block.refuse(number, "notUtf8", utf8_reason(error))
                continue
            if text.strip():
                block.add(number, {"text": text})
            else:
                block.blank += 1
        yield block
