"""split: groups stay together, sizes are met, and nothing in training gives an evaluation row away."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from trainwright.formats.rows import FLAG_NOT_SCORED
from trainwright.prepare.splitting import linking
from trainwright.prepare.splitting.groups import choose
from trainwright.prepare.splitting.links import MATCHES

from tests.factories import conversation, rows_frame
from tests.unit.prepare.chat import chat, exchange, sentence, with_typo
from tests.unit.prepare.preparing import ALL_OFF, prepare

TWO_SOURCES = ({"uri": "./source.jsonl"}, {"uri": "./validation.jsonl", "use": "Validation"})


def groups(sizes: list[int]) -> pl.DataFrame:
    hashes = np.random.default_rng(0).permutation(len(sizes)).astype(np.uint64)
    return pl.DataFrame({"group": hashes, "exchanges": sizes, "pinned": [False] * len(sizes)})


def test_rows_of_one_group_never_fall_into_different_splits(tmp_path: Path) -> None:
    rows = rows_frame(*(row | {"group": f"g{row['record'] % 20}"} for row in chat(200)))
    done = prepare(tmp_path, rows, settings=ALL_OFF, split={"validation": 0.1, "test": 0.2})
    by_group = done.rows.group_by("group").agg(pl.col("split").n_unique())
    assert by_group["split"].max() == 1
    assert done.report.counts["validation"] == 20
    assert done.report.counts["test"] == 40
    assert done.report.counts["train"] == 140


def test_sizes_are_met_to_one_group_and_big_groups_train() -> None:
    draw = np.random.default_rng(1)
    sizes = [*draw.integers(1, 30, 4000).tolist(), 5000, 3000]
    chosen = choose(groups(sizes), 0.01, 0.02)
    found = dict(groups(sizes).select("group", "exchanges").iter_rows())
    total = sum(sizes)
    assert 0 <= int(0.01 * total) - sum(found[group] for group in chosen.validation.tolist()) <= 30
    assert 0 <= int(0.02 * total) - sum(found[group] for group in chosen.test.tolist()) <= 30
    assert not set(chosen.validation.tolist()) & set(chosen.test.tolist())


def test_no_more_than_ten_thousand_are_taken() -> None:
    chosen = choose(groups([1] * 300_000), 0.5, 0.5)
    assert len(chosen.validation) == len(chosen.test) == 10_000


@pytest.mark.parametrize("sizes", [[1], [7], [3, 5], [1, 1, 1], [100, 1]])
def test_something_is_always_left_to_train_on(sizes: list[int]) -> None:
    chosen = choose(groups(sizes), 0.5, 0.5)
    assert len(chosen.validation) + len(chosen.test) < len(sizes)


def test_use_of_a_source_decides_over_the_split(tmp_path: Path) -> None:
    sources = tuple({"uri": f"./{use}.jsonl", "use": use} for use in ("Train", "Validation", "Test"))
    rows = [row for n, source in enumerate(sources) for row in chat(10, n, source=source["uri"])]
    done = prepare(tmp_path, rows_frame(*rows), sources=sources, split={"validation": 0.5, "test": 0.5})
    assert {key: done.report.counts[key] for key in ("train", "validation", "test")} == {
        "train": 10,
        "validation": 10,
        "test": 10,
    }


def test_training_rows_that_match_an_evaluation_row_go(tmp_path: Path) -> None:
    draw = random.Random(5)
    secret = conversation(sentence(draw, 9), sentence(draw, 12), record=1, source="./validation.jsonl")
    prompt, response = (message["content"] for message in secret["messages"])
    rows = rows_frame(
        secret,
        conversation(prompt, response, record=10),
        with_typo(secret, draw, record=11),
        conversation(sentence(draw, 9), response, record=12),
        *chat(20, 6),
    )
    done = prepare(tmp_path, rows, settings=ALL_OFF, sources=TWO_SOURCES)
    assert done.reasons == [
        (10, "split", "evaluation.exact"),
        (11, "split", "evaluation.near"),
        (12, "split", "evaluation.response"),
    ]
    assert done.report.metrics["linksFoundByCheck"] == 0


def test_the_check_of_the_written_files_finds_and_cuts_what_was_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(5)
    secret = conversation(sentence(draw, 9), sentence(draw, 12), record=1, source="./validation.jsonl")
    rows = rows_frame(secret, with_typo(secret, draw, record=11), *chat(20, 6))
    monkeypatch.setattr(linking, "find_links", lambda task: pl.DataFrame(schema=MATCHES))
    done = prepare(tmp_path, rows, settings=ALL_OFF, sources=TWO_SOURCES)
    assert done.report.metrics["linksFoundByCheck"] == 1
    assert done.reasons == [(11, "split", "evaluation.near")]


def test_a_matching_turn_in_a_conversation_loses_its_loss_only(tmp_path: Path) -> None:
    draw = random.Random(6)
    secret = exchange(draw, record=1, source="./validation.jsonl")
    prompt, response = (message["content"] for message in secret["messages"])
    done = prepare(
        tmp_path,
        rows_frame(secret, conversation(prompt, response, "And now?", "Nothing.", record=2), *chat(5, 7)),
        settings=ALL_OFF,
        sources=TWO_SOURCES,
    )
    turns = done.rows.filter(pl.col("record") == 2)["messages"].to_list()
    assert [turn["train"] for turn in next(row for row in turns if len(row) == 4)] == [False, False, False, True]


def test_a_short_exchange_in_both_is_not_scored_and_stays_in_training(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation("hello", "hi", record=1, source="./validation.jsonl"),
        conversation("Hello!", "Hi.", record=2),
        *chat(5),
    )
    done = prepare(tmp_path, rows, settings=ALL_OFF, sources=TWO_SOURCES)
    assert not done.reasons
    (scored,) = done.rows.filter(pl.col("split") == "validation")["messages"]
    assert scored[1]["flags"] == FLAG_NOT_SCORED
    assert done.step("split")["changed"] == {"notScored": 1}


def test_a_phrase_that_many_training_rows_hold_is_no_secret(tmp_path: Path) -> None:
    draw = random.Random(8)
    phrase = "Please restart the device and tell us whether the light is green."
    rows = [conversation(sentence(draw, 8), phrase, record=n) for n in range(30)]
    secret = conversation(sentence(draw, 8), phrase, record=100, source="./validation.jsonl")
    assert not prepare(tmp_path, rows_frame(secret, *rows), settings=ALL_OFF, sources=TWO_SOURCES).reasons


def test_a_group_in_an_evaluation_source_does_not_train(tmp_path: Path) -> None:
    rows = rows_frame(
        *chat(3, 9, source="./validation.jsonl", group="ann"),
        *(row | {"group": "ann"} for row in chat(2, 10)),
        *(row | {"record": row["record"] + 10} for row in chat(3, 11)),
    )
    done = prepare(tmp_path, rows, settings=ALL_OFF, sources=TWO_SOURCES)
    assert [(record, reason) for record, _, reason in done.reasons] == [
        (0, "evaluation.group"),
        (1, "evaluation.group"),
    ]


def test_another_seed_chooses_other_groups(tmp_path: Path) -> None:
    chosen = []
    for seed in (1, 2):
        done = prepare(
            tmp_path,
            rows_frame(*chat(100)),
            settings=ALL_OFF,
            split={"validation": 0.1, "test": 0.1},
            name=f"seed{seed}",
            goal="Train",
            model={"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 300}}},
            training={"seed": seed},
        )
        chosen.append(set(done.rows.filter(pl.col("split") == "test")["record"]))
    assert chosen[0] != chosen[1]
