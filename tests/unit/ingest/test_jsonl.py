"""JSON Lines: every line is a row, a named bad row or blank."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainwright.errors import BadInput
from trainwright.ingest.limits import LIMITS
from trainwright.ingest.readers import jsonl
from trainwright.ingest.records import Block, Opened

from tests.unit.ingest.conftest import Workshop

GOOD = b'{"prompt": "Is it cold?", "response": "No, it is warm."}'
LENIENT = {"maxBadShare": 1.0}


def read(data: bytes, block_bytes: int = 1 << 20, row_bytes: int = 8 << 20) -> list[Block]:
    import io

    limits = replace(LIMITS, block_bytes=block_bytes, row_bytes=row_bytes)
    return list(jsonl.read(Opened(stream=io.BytesIO(data), name="x.jsonl", limits=limits)))


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b'{"prompt": "cut', "notJson", "no valid JSON: "),
        (b"not json", "notJson", "at character"),
        (b'{"prompt": "\xe9t\xe9", "response": "x"}', "notUtf8", "not UTF-8 at byte 13 of the line"),
        (b'{"prompt": "a\\ud800", "response": "x"}', "loneSurrogate", "half of a surrogate pair"),
        (b"[1, 2]", "notAnObject", "a list instead of an object"),
        (b"null", "notAnObject", "null instead of an object"),
        (b'{"prompt": "a", "prompt": "b", "response": "x"}', "duplicateKey", "'prompt' stands twice"),
        (b'{"prompt": "a", "response": "x", "m": {"k": 1, "k": 2}}', "duplicateKey", "'k' stands twice"),
        (b'{"prompt": 5, "response": "x"}', "wrongType", "prompt is a number, not text"),
        (b'{"prompt": "a", "response": true}', "wrongType", "response is true or false, not text"),
        (b'{"prompt": NaN, "response": "x"}', "notJson", "no valid JSON"),
        (b'{"first": "a", "second": "x"}', "unknownShape", "no usual shape: its columns are first, second"),
    ],
)
def test_a_bad_line_is_named_with_line_and_reason(workshop: Workshop, line: bytes, code: str, reason: str) -> None:
    uri = workshop.write("a.jsonl", b"\n".join([GOOD, line, GOOD]))
    result = workshop.ingest(uri, **LENIENT)
    (bad,) = result.bad
    assert (bad["file"], bad["line"], bad["code"]) == ("a.jsonl", 2, code)
    assert reason in bad["reason"]
    assert [row["record"] for row in result.rows] == [0, 2]


def test_rows_bad_rows_and_blank_lines_add_up_to_the_lines_checked(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", b"\n".join([GOOD, b"", b"oops", b"  \t", GOOD, b"{}", GOOD]) + b"\n")
    counts = workshop.ingest(uri, **LENIENT).report.counts
    assert counts["lines"] == 7
    assert (counts["rows"], counts["bad"], counts["blank"]) == (3, 2, 2)


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_rows(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD + b"\r\n")
    result = workshop.ingest(uri)
    assert result.conversations == [[("user", "Is it cold?"), ("assistant", "No, it is warm.")]] * 2
    assert result.report.counts["lines"] == 2


def test_only_line_feeds_end_a_row(workshop: Workshop, data: Callable[[str], str]) -> None:
    result = workshop.ingest(data("separators.jsonl"))
    prompts = [turns[0][1] or "" for turns in result.conversations]
    assert [prompt.removeprefix("Row one keeps one").removesuffix("line?") for prompt in prompts] == [
        "\u2028",
        "\u2029",
        "\x85",
        "\x0b",
        "\x0c",
        "\x1c",
    ]


def test_a_line_over_the_limit_is_a_bad_row_and_the_next_one_is_read(workshop: Workshop) -> None:
    long = b'{"prompt": "' + b"a" * 5000 + b'", "response": "x"}'
    limits = replace(LIMITS, row_bytes=1000, block_bytes=100)
    result = workshop.ingest(workshop.write("a.jsonl", b"\n".join([GOOD, long, GOOD, long])), limits=limits, **LENIENT)
    assert [(bad["line"], bad["code"]) for bad in result.bad] == [(2, "tooLong"), (4, "tooLong")]
    assert [row["record"] for row in result.rows] == [0, 2]


def test_a_file_in_another_encoding_is_refused_with_the_cure(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", GOOD.decode().encode("utf-16"))
    with pytest.raises(BadInput, match="written in UTF-16") as caught:
        workshop.ingest(uri)
    assert "UTF-8" in caught.value.hint


def test_text_that_looks_like_a_key_is_no_duplicate(workshop: Workshop) -> None:
    record = {"prompt": 'say "prompt": twice', "response": '{"prompt": "prompt": "x"}', "m": {"prompt": 1}}
    assert workshop.ingest(workshop.write("a.jsonl", [record] * 3)).report.counts["rows"] == 3


VALUES = st.one_of(st.text(max_size=20), st.integers(-(2**63), 2**64 - 1), st.none())
LINES = st.one_of(
    st.just(GOOD),
    st.just(b""),
    st.just(b"  "),
    st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=3).map(lambda d: json.dumps(d).encode()),
)


@settings(max_examples=80, deadline=None)
@given(lines=st.lists(LINES, min_size=1, max_size=30), block_bytes=st.integers(1, 200))
def test_accounts_and_numbers_hold_for_any_lines_and_any_block_size(lines: list[bytes], block_bytes: int) -> None:
    data = b"\n".join(lines) + b"\n"
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return
    blocks = read(data, block_bytes)
    numbers = sorted(n for block in blocks for n in [*block.numbers, *(bad.number for bad in block.bad)])
    assert sum(block.checked for block in blocks) == len(lines)
    assert len(numbers) + sum(block.blank for block in blocks) == len(lines)
    assert numbers == [n for n, line in enumerate(lines) if line.strip()]
    for block in blocks:
        for number, record in zip(block.numbers, block.records, strict=True):
            assert json.loads(lines[number]) == record
