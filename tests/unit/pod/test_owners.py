"""Attempts that know nothing of each other: whoever finishes first wins, and a stale one writes nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainwright import artifacts
from trainwright.artifacts import Fence, Owner
from trainwright.contract import STAGE, Report
from trainwright.errors import RetryLater

INGEST, TRAIN = STAGE["ingest"], STAGE["train"]
FIRST, SECOND = Owner(run="uid", attempt=1), Owner(run="uid", attempt=2)
OTHER = Owner(run="another-uid", attempt=1)


def made(folder: Path, words: str) -> Report:
    (folder / "rows").write_text(words)
    return Report(message=words, counts={}, metrics={})


def test_an_output_gets_its_name_only_when_it_is_finished(tmp_path: Path) -> None:
    folder = artifacts.begin(tmp_path, INGEST, "key", FIRST)
    report = made(folder, "whole")
    assert artifacts.find(tmp_path, "ingest", "key") is None
    assert artifacts.is_unfinished(tmp_path, "ingest", "key")
    published = artifacts.publish(folder, INGEST, "key", report, {})
    assert published.folder == tmp_path / "stages" / "ingest" / "key"
    assert [path.name for path in published.folder.parent.iterdir()] == ["key"]


def test_of_two_runs_with_the_same_key_the_first_to_finish_wins(tmp_path: Path) -> None:
    slow, fast = (artifacts.begin(tmp_path, INGEST, "key", owner) for owner in (FIRST, OTHER))
    artifacts.publish(fast, INGEST, "key", made(fast, "fast"), {})
    published = artifacts.publish(slow, INGEST, "key", made(slow, "slow"), {})
    assert published.done["message"] == "fast"
    assert (published.folder / "rows").read_text() == "fast"
    assert not slow.exists()


def test_an_unfinished_folder_of_that_name_is_nobodys(tmp_path: Path) -> None:
    folder = artifacts.begin(tmp_path, INGEST, "key", FIRST)
    (tmp_path / "stages" / "ingest" / "key").mkdir()
    (tmp_path / "stages" / "ingest" / "key" / "half").touch()
    published = artifacts.publish(folder, INGEST, "key", made(folder, "whole"), {})
    assert {path.name for path in published.folder.iterdir()} == {"rows", "done.json"}


def test_a_new_attempt_removes_what_earlier_ones_of_its_run_left_and_nothing_else(tmp_path: Path) -> None:
    earlier = artifacts.begin(tmp_path, INGEST, "another", FIRST)
    others = artifacts.begin(tmp_path, INGEST, "key", OTHER)
    later = artifacts.begin(tmp_path, INGEST, "key", Owner(run="uid", attempt=3))
    artifacts.begin(tmp_path, INGEST, "key", SECOND)
    assert not earlier.exists()
    assert others.exists()
    assert later.exists()


def test_a_finished_output_stays_unless_it_is_to_be_made_anew(tmp_path: Path) -> None:
    folder = artifacts.begin(tmp_path, TRAIN, "key", FIRST)
    artifacts.publish(folder, TRAIN, "key", made(folder, "once"), {})
    artifacts.begin(tmp_path, TRAIN, "key", OTHER)
    assert artifacts.find(tmp_path, "train", "key") is not None
    artifacts.begin(tmp_path, TRAIN, "key", OTHER, anew=True)
    assert artifacts.find(tmp_path, "train", "key") is None


def test_a_half_published_folder_is_not_taken_for_finished(tmp_path: Path) -> None:
    folder = artifacts.begin(tmp_path, INGEST, "key", FIRST)
    artifacts.write_json(folder / "done.json", {})
    assert artifacts.finished_keys(tmp_path, "ingest") == []


def test_a_stale_attempt_finds_the_fence_taken(tmp_path: Path) -> None:
    stale, newer = Fence(folder=tmp_path, owner=FIRST), Fence(folder=tmp_path, owner=SECOND)
    stale.take()
    stale.check()
    newer.take()
    with pytest.raises(RetryLater, match="attempt 2 of uid works in"):
        stale.check()
    newer.check()


def test_an_earlier_attempt_that_starts_late_leaves_the_fence(tmp_path: Path) -> None:
    Fence(folder=tmp_path, owner=SECOND).take()
    with pytest.raises(RetryLater):
        Fence(folder=tmp_path, owner=FIRST).take()
    Fence(folder=tmp_path, owner=SECOND).check()


def test_a_fence_that_was_cleared_away_is_lost(tmp_path: Path) -> None:
    with pytest.raises(RetryLater, match="another attempt"):
        Fence(folder=tmp_path / "gone", owner=FIRST).check()


def test_on_one_machine_every_start_takes_the_fence(tmp_path: Path) -> None:
    Fence(folder=tmp_path, owner=Owner(attempt=5)).take()
    Fence(folder=tmp_path, owner=Owner(attempt=1)).take()


def test_a_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    for value in ("first", "second"):
        artifacts.write_json_once(tmp_path / "keys.json", value)
    assert (tmp_path / "keys.json").read_text() == '"first"\n'
    assert len(list(tmp_path.iterdir())) == 1
