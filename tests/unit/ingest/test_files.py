"""Files: packed, truncated, empty, missing, unknown; Parquet and plain text."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable

import polars as pl
import pytest
import zstandard
from trainwright.errors import BadInput

from tests.unit.ingest.conftest import Workshop

RECORDS = [{"prompt": f"question {n}", "response": f"answer {n} " * 20} for n in range(3000)]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


def frames(data: bytes) -> bytes:
    """Two Zstandard frames, one after the other."""
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("zst", frames)])
def test_packed_files_are_read(workshop: Workshop, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    result = workshop.ingest(workshop.write(f"a.jsonl.{suffix}", pack(LINES)))
    assert [turns[0][1] for turns in result.conversations] == [record["prompt"] for record in RECORDS]


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("zst", frames)])
def test_a_packed_file_that_ends_early_is_an_error(
    workshop: Workshop, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(BadInput, match=rf"a\.jsonl\.{suffix} is truncated"):
        workshop.ingest(workshop.write(f"a.jsonl.{suffix}", pack(LINES)[:-20]))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_file_that_is_not_packed_is_named(workshop: Workshop, suffix: str) -> None:
    with pytest.raises(BadInput, match=rf"a\.jsonl\.{suffix} cannot be unpacked"):
        workshop.ingest(workshop.write(f"a.jsonl.{suffix}", b"plain text of some length"))


def test_parquet_is_read_with_its_lists_and_objects(workshop: Workshop) -> None:
    call = {"id": "c1", "function": {"name": "ping", "arguments": {"n": 1}}}
    records = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}], "stars": 3},
        {
            "messages": [
                {"role": "user", "content": "Ping"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
            ],
            "stars": 4,
        },
    ]
    sink = io.BytesIO()
    pl.DataFrame(records, infer_schema_length=None).write_parquet(sink)
    uri = workshop.write("a.parquet", sink.getvalue())
    rows = workshop.ingest({"uri": uri, "columns": {"messages": "messages", "rating": "stars"}}).rows
    assert [turn["content"] for turn in rows[0]["messages"]] == ["Hi", "Hello"]
    assert rows[0]["messages"][1]["toolCalls"] is None
    assert json.loads(rows[1]["messages"][1]["toolCalls"]) == [call]
    assert [row["rating"] for row in rows] == [3.0, 4.0]


def test_tools_in_parquet_keep_only_the_members_they_have(workshop: Workshop) -> None:
    tools = [[{"name": "alarm", "parameters": {"time": "06:00"}}], [{"name": "ping", "parameters": {"host": "here"}}]]
    records = [{"prompt": "a", "response": "b", "tools": of_row} for of_row in tools]
    sink = io.BytesIO()
    pl.DataFrame(records, infer_schema_length=None).write_parquet(sink)
    rows = workshop.ingest(workshop.write("a.parquet", sink.getvalue())).rows
    assert [json.loads(row["tools"]) for row in rows] == tools


def test_a_truncated_parquet_file_is_an_error(workshop: Workshop) -> None:
    sink = io.BytesIO()
    pl.DataFrame(RECORDS).write_parquet(sink)
    with pytest.raises(BadInput, match=r"a\.parquet cannot be read as Parquet"):
        workshop.ingest(workshop.write("a.parquet", sink.getvalue()[:-100]))


def test_each_line_of_a_text_file_is_a_row(workshop: Workshop, data: Callable[[str], str]) -> None:
    result = workshop.ingest(data("separators.txt"))
    texts = [turns[0][1] for turns in result.conversations]
    assert len(texts) == 4
    assert texts[:3] == ["first\u2028still first", "second\x85still second", "third\u2029still third"]


def test_a_format_that_is_given_wins_over_the_suffix(workshop: Workshop) -> None:
    uri = workshop.write("rows.dat", LINES)
    assert len(workshop.ingest({"uri": uri, "format": "jsonl"}).rows) == 3000


def test_a_file_of_an_unknown_format_is_refused(workshop: Workshop) -> None:
    with pytest.raises(BadInput, match=r"no format is known for rows\.dat") as caught:
        workshop.ingest(workshop.write("rows.dat", LINES))
    assert "set format" in caught.value.hint


def test_files_of_other_formats_in_a_folder_are_passed_over_and_counted(workshop: Workshop) -> None:
    workshop.write("folder/README.md", "about")
    workshop.write("folder/b.jsonl", RECORDS[:2])
    workshop.write("folder/a.jsonl", RECORDS[:1])
    result = workshop.ingest("./folder")
    assert [file["name"] for file in result.facts[0]["files"]] == ["a.jsonl", "b.jsonl"]
    assert result.facts[0]["passedOver"] == 1


def test_equal_rows_of_two_files_have_ids_of_their_own(workshop: Workshop) -> None:
    workshop.write("folder/a.jsonl", RECORDS[:1])
    workshop.write("folder/b.jsonl", RECORDS[:1])
    rows = workshop.ingest("./folder", "./folder/a.jsonl").rows
    assert len({row["id"] for row in rows}) == 3
    assert len({row["contentKey"] for row in rows}) == 1


@pytest.mark.parametrize("uri", ["./nothing.jsonl", "./none-*.jsonl"])
def test_a_source_that_does_not_exist_is_named(workshop: Workshop, uri: str) -> None:
    with pytest.raises(BadInput, match="no file matches"):
        workshop.ingest(uri)


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a.csv", "a.yaml"])
def test_an_empty_source_is_named(workshop: Workshop, name: str, content: bytes) -> None:
    with pytest.raises(BadInput, match=rf"\./{name} is empty"):
        workshop.ingest(workshop.write(name, content))
