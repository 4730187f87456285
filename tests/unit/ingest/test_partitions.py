"""Partitions and samples depend on the data alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from trainwright.formats.rows import SCHEMA, part_files
from trainwright.ingest import sampling, stage
from trainwright.ingest.canonical import NO_EXTRAS, RowBuilder
from trainwright.ingest.limits import LIMITS
from trainwright.ingest.turns import Turn

from tests.unit.ingest.conftest import Ingested, Workshop

SMALL = replace(LIMITS, partition_exchanges=100, piece_bytes=5000, block_bytes=1000, alone_bytes=0)


def parts(result: Ingested) -> dict[str, bytes]:
    return {str(path.relative_to(result.folder)): path.read_bytes() for path in sorted(result.folder.rglob("*.*"))}


def sources(workshop: Workshop) -> list[str]:
    records = [{"prompt": f"question {n}", "response": f"answer {n}"} for n in range(700)]
    talk = [
        {"messages": [{"role": r, "content": f"{k} {n}"} for n in range(6) for r in ("ann", "bob")]} for k in range(20)
    ]
    (workshop.folder / "cut").mkdir()
    return [
        workshop.write("a.jsonl", records),
        workshop.write("cut/b.jsonl", talk),
        workshop.write("cut/c.csv", "question,answer\nq,a\n"),
    ]


def test_rows_have_the_canonical_columns_and_stand_sorted_by_id(workshop: Workshop) -> None:
    result = workshop.ingest(*sources(workshop))
    for path in part_files(result.folder / "rows"):
        frame = pl.read_parquet(path)
        assert dict(frame.schema) == {
            name: pl.List(dtype.inner) if name == "messages" else dtype for name, dtype in SCHEMA.items()
        }  # type: ignore[union-attr]
        assert frame["id"].is_sorted()
        assert set(frame["id"].bin.size().to_list()) == {16}


def test_any_number_of_workers_writes_the_same_bytes(workshop: Workshop) -> None:
    uris = sources(workshop)
    one = workshop.ingest(*uris, limits=SMALL)
    two = workshop.ingest(*uris, limits=SMALL, workers=2)
    assert parts(one) == parts(two)
    assert len(part_files(one.folder / "rows")) == 10


def test_partitions_of_any_size_hold_the_same_rows(workshop: Workshop) -> None:
    uris = sources(workshop)
    whole = workshop.ingest(*uris)
    by_count = workshop.ingest(*uris, limits=replace(LIMITS, partition_exchanges=33))
    by_size = workshop.ingest(*uris, limits=replace(LIMITS, partition_bytes=2000))
    assert whole.rows == by_count.rows == by_size.rows
    sizes = [len(pl.read_parquet(path)) for path in part_files(by_count.folder / "rows")]
    assert max(sizes) == 33
    assert len(part_files(by_size.folder / "rows")) > 10


def test_a_file_cut_into_pieces_has_the_rows_and_bad_lines_of_the_whole(workshop: Workshop) -> None:
    lines = [b'{"prompt": "a%d", "response": "%s"}' % (n, b"b" * (n % 90)) for n in range(500)]
    lines[77] = lines[300] = b"oops"
    lines[78] = b""
    for ending in (b"", b"\n"):
        uri = workshop.write("a.jsonl", b"\n".join(lines) + ending)
        whole = workshop.ingest(uri, maxBadShare=1.0)
        cut = workshop.ingest(uri, maxBadShare=1.0, limits=replace(LIMITS, piece_bytes=999, block_bytes=100))
        assert whole.rows == cut.rows
        assert whole.bad == cut.bad
        assert whole.report.counts == cut.report.counts
        assert [bad["line"] for bad in cut.bad] == [78, 301]


def test_nothing_but_the_outputs_is_left_behind(workshop: Workshop) -> None:
    result = workshop.ingest(*sources(workshop))
    assert sorted(path.name for path in result.folder.iterdir()) == ["bad.jsonl", "rows", "sources.json"]


def test_what_a_killed_attempt_left_is_not_read(workshop: Workshop, tmp_path: Path) -> None:
    workshop.write("folder/a.jsonl", [{"prompt": "a", "response": "b"}])
    workshop.write("folder/b.jsonl", [{"prompt": "a", "response": ""}])
    left = tmp_path / "out" / "spills" / "00-000001-000000.arrow"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"torn")
    report = stage.run(workshop.config([{"uri": "./folder"}]), {}, tmp_path / "out")
    assert report.counts["rows"] == 1


def test_a_sample_is_as_large_as_wanted_and_the_same_in_any_order(workshop: Workshop) -> None:
    uri = sources(workshop)[0]
    taken = workshop.ingest({"uri": uri, "maxRows": 50})
    assert taken.report.counts["exchanges"] == 50
    split = workshop.ingest({"uri": uri, "maxRows": 50}, limits=SMALL)
    assert [row["id"] for row in taken.rows] == [row["id"] for row in split.rows]
    more = workshop.ingest({"uri": uri, "maxRows": 60})
    assert {row["id"] for row in taken.rows} < {row["id"] for row in more.rows}


def test_a_sample_is_exact_inside_a_bucket_of_hashes(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = sources(workshop)[0]
    fine = workshop.ingest({"uri": uri, "maxRows": 50})
    monkeypatch.setattr(sampling, "BUCKET_BITS", 1)
    coarse = workshop.ingest({"uri": uri, "maxRows": 50})
    assert coarse.report.counts["exchanges"] == 50
    assert [row["id"] for row in coarse.rows] == [row["id"] for row in fine.rows]


def test_a_sample_counts_exchanges_and_never_exceeds_them(workshop: Workshop) -> None:
    chats = [
        {"messages": [{"role": r, "content": f"{k} {n}"} for n in range(3) for r in ("user", "assistant")]}
        for k in range(40)
    ]
    result = workshop.ingest(workshop.write("a.jsonl", chats), sample=20)
    assert result.report.counts["exchanges"] == 18
    assert result.facts[0]["exchangesFound"] == 120


def test_the_smaller_of_max_rows_and_sample_holds_and_a_large_one_takes_all(workshop: Workshop) -> None:
    uri = sources(workshop)[0]
    assert workshop.ingest({"uri": uri, "maxRows": 30}, sample=20).report.counts["exchanges"] == 20
    assert workshop.ingest({"uri": uri, "maxRows": 10}, sample=20).report.counts["exchanges"] == 10
    assert workshop.ingest({"uri": uri, "maxRows": 10_000}).report.counts["exchanges"] == 700


def test_pairs_taken_many_at_a_time_are_the_rows_taken_one_by_one() -> None:
    pairs = [("What?", "That."), (" Ünder\u2028", "ẞig İ"), ("a\x00b", "c"), ("x" * 1000, "\U0001f600")]
    one, many = RowBuilder("source", "path"), RowBuilder("source", "path")
    for number, (prompt, response) in enumerate(pairs):
        one.add(number, None, [Turn("user", prompt), Turn("assistant", response, True)], NO_EXTRAS)
    many.add_pairs(range(len(pairs)), pairs)
    assert one.table().equals(many.table())
