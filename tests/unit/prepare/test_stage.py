"""The stage as a whole: nothing is lost, every number adds up, nothing depends on workers or partitions."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from trainwright.errors import BadInput
from trainwright.formats.rows import SCHEMA

from tests.factories import conversation, rows_frame
from tests.unit.prepare.chat import chat, with_typo
from tests.unit.prepare.preparing import ALL_OFF, asked, prepare


def mixed() -> pl.DataFrame:
    """Rows of all kinds: clean, noisy, offensive, personal, copies, conversations."""
    draw = random.Random(0)
    base = chat(120)
    return rows_frame(
        *base,
        *(with_typo(row, draw, record=1000 + n) for n, row in enumerate(base[:30])),
        *(
            conversation(f"<b>Question {n}?</b>", f"mail me at x{n}@example.org  or not!!!!!", record=2000 + n)
            for n in range(20)
        ),
        *(conversation("Hi", "Hello.", f"Really {n}?", "fuck you", "Why?", "k", record=3000 + n) for n in range(5)),
        *(
            conversation("Hello", "hi", f"and {n}?", f"and {n + 1} I would say, by all means.", record=4000 + n)
            for n in range(9)
        ),
        conversation(("user", "no answer"), record=5000),
        conversation("plain text that somebody wrote in eight words or more", record=5001),
    )


def exchanges(rows: pl.DataFrame) -> int:
    roles = rows.select(roles=pl.col("messages").list.eval(pl.element().struct.field("role")))["roles"].to_list()
    return sum(role == "assistant" for turns in roles for role in turns)


@pytest.mark.parametrize("action", ["Drop", "Cut", "NoTrain"])
def test_exchanges_in_are_those_kept_and_those_dropped(tmp_path: Path, action: str) -> None:
    rows = mixed()
    settings = {"offensive": {"action": action}, "personalData": {"action": action}}
    done = prepare(tmp_path, rows, settings=settings, split={"validation": 0.05, "test": 0.05})
    counts, steps = done.report.counts, done.report.metrics["steps"]
    assert exchanges(rows) == counts["rowsIn"] == exchanges(done.rows) + exchanges(done.dropped)
    assert counts["rowsKept"] == exchanges(done.rows)
    assert counts["train"] + counts["validation"] + counts["test"] + counts["withoutLoss"] == counts["rowsKept"]
    for step in steps:
        assert step["in"] - step["out"] == sum(step["reasons"].values())
    assert [step["in"] for step in steps[1:]] == [step["out"] for step in steps[:-1]]
    assert set(rows["id"]) == set(done.rows["id"]) | set(done.dropped["id"])


def test_kept_rows_have_a_target_a_split_and_a_language(tmp_path: Path) -> None:
    done = prepare(tmp_path, mixed())
    assert done.rows.schema == pl.Schema(SCHEMA)
    assert done.dropped.columns == [*SCHEMA, "step", "reason"]
    targets = done.rows.select(pl.col("messages").list.eval(pl.element().struct.field("train")).list.any())
    assert targets.to_series().all()
    assert done.rows["split"].unique().to_list() == ["train"]
    assert done.rows["lang"].null_count() == 0


def test_rows_are_identical_for_partitions_of_any_size(tmp_path: Path) -> None:
    split = {"validation": 0.05, "test": 0.05}
    made = [prepare(tmp_path, mixed(), split=split, partitions=parts, name=f"p{parts}") for parts in (1, 2, 7)]
    for done in made[1:]:
        assert done.rows.equals(made[0].rows)
        assert done.dropped.equals(made[0].dropped)
        assert done.report.counts == made[0].report.counts
        assert done.report.metrics == made[0].report.metrics


def test_nothing_left_is_bad_input_that_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="of 3: step relevance took most, 2"):
        prepare(tmp_path, asked("k", "j", "fuck you"))


def test_no_rows_at_all_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="ingest left no exchange"):
        prepare(tmp_path, rows_frame())


def test_rows_of_evaluation_sources_are_counted_by_filters_and_taken_by_none(tmp_path: Path) -> None:
    bad = ["k", "fuck you", "<b>1,2</b>", "a@b.org", "", "der Hund ist ein gutes Tier und bellt", "ink " * 30]
    rows = rows_frame(
        *(conversation(f"Q {n}?", text, record=n, source="./test.jsonl") for n, text in enumerate(bad)), *chat(9)
    )
    sources = ({"uri": "./source.jsonl"}, {"uri": "./test.jsonl", "use": "Test"})
    done = prepare(tmp_path, rows, sources=sources, settings={"language": {"keep": ["en", "und"]}})
    test = done.rows.filter(pl.col("split") == "test").sort("record")
    assert test.height == len(bad)
    said = [row[1]["content"] for row in test["messages"]]
    assert said[2:4] == ["1,2", "<EMAIL>"]
    spared = {step["step"]: step["spared"] for step in done.report.metrics["steps"] if step["spared"]}
    assert spared == {
        "clean": {"emptyResponse": 1},
        "language": {"foreign": 1},
        "relevance": {"repetitive": 1, "tooShort": 2},
        "offensive": {"severe": 1},
    }


def test_every_step_can_be_switched_off(tmp_path: Path) -> None:
    rows = asked("k", "fuck you", "<b>x@y.org</b>", "fuck you")
    done = prepare(tmp_path, rows, settings=ALL_OFF)
    assert [step["step"] for step in done.report.metrics["steps"]] == ["dialogue", "split"]
    assert done.rows["messages"].to_list() == rows["messages"].to_list()
    assert done.rows["lang"].null_count() == 4


def test_figures_of_the_kept_rows(tmp_path: Path) -> None:
    rows = [row | {"metadata": f'{{"topic": "{"ab"[n % 2]}", "x": 1}}'} for n, row in enumerate(chat(10))]
    sources = ({"uri": "./source.jsonl", "columns": {"prompt": "p", "response": "r", "keep": ["topic"]}},)
    done = prepare(tmp_path, rows_frame(*rows), sources=sources)
    metrics = done.report.metrics
    assert metrics["kept"] == {"topic": {"a": 5, "b": 5}}
    assert sum(metrics["languages"].values()) == 10
    for side in ("prompt", "response"):
        assert sum(metrics["lengths"][side]["counts"]) == 10
        assert len(metrics["lengths"][side]["edges"]) == len(metrics["lengths"][side]["counts"]) + 1
    assert metrics["perSource"]["./source.jsonl"]["train"] == 10
    changed = prepare(tmp_path, rows_frame(*rows[1:]), sources=sources, name="other")
    assert metrics["fingerprint"].startswith("sha256:")
    assert changed.report.metrics["fingerprint"] != metrics["fingerprint"]


def test_nothing_of_the_work_is_left_in_the_output(tmp_path: Path) -> None:
    done = prepare(tmp_path, asked("Good morning."))
    assert sorted(path.name for path in done.folder.iterdir()) == ["dropped", "rows", "steps.json"]


def test_a_list_of_words_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(BadInput, match="lexicon"):
        prepare(tmp_path, asked("x y"), settings={"offensive": {"lexicon": "./own.txt"}})
    (tmp_path / "own.txt").write_text("# nothing\n")
    with pytest.raises(BadInput, match="holds no word"):
        prepare(tmp_path, asked("x y"), settings={"offensive": {"lexicon": "./own.txt"}}, name="empty")
    (tmp_path / "own.txt").write_text("banana\n")
    done = prepare(
        tmp_path, asked("A banana!", "asshole"), settings={"offensive": {"lexicon": "./own.txt"}}, name="own"
    )
    assert done.reasons == [(0, "offensive", "severe")]
