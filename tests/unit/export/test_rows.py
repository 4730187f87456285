"""Goal PrepareData: the rows as other tools read them."""

from __future__ import annotations

import json

import polars as pl
import pytest
from trainwright import export
from trainwright.formats.rows import write_part

from tests.factories import conversation, rows_frame
from tests.tiny_run import artifact


@pytest.fixture
def prepared(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    config = run.with_spec(goal="PrepareData", model=None, training=None, evaluation=None)
    rows = [
        conversation("hello", "hi", record=1, split="train", lang="en"),
        conversation("hola", "¿qué tal?", record=2, split="test", lang="es"),
    ]
    folder = run.inputs["prepare"].folder / "rows"
    write_part(rows_frame(rows[0]), folder, 0)
    write_part(rows_frame(rows[1]), folder, 1)
    inputs = {name: run.inputs[name] for name in ("ingest", "prepare")}
    (tmp_path / "output").mkdir()
    return config, inputs, tmp_path / "output"


def test_rows_lie_by_split_with_messages_that_other_tools_read(prepared):
    config, inputs, output = prepared
    report = export.run(config, inputs, output)
    (train,) = pl.read_parquet(output / "data" / "train" / "*.parquet").to_dicts()
    assert [(m["role"], m["content"]) for m in train["messages"]] == [("user", "hello"), ("assistant", "hi")]
    assert len(train["id"]) == 32 and train["lang"] == "en"
    assert (report.counts["train"], report.counts["validation"], report.counts["test"]) == (1, 0, 1)
    assert "# Data\n" in (output / "data" / "DATA.md").read_text("utf-8")
    assert "train/part-00000.parquet" in json.loads((output / "data" / "manifest.json").read_text())["files"]


def test_datasets_loads_what_was_exported(prepared, tmp_path):
    from datasets import load_dataset

    config, inputs, output = prepared
    export.run(config, inputs, output)
    files = {split: str(output / "data" / split / "*.parquet") for split in ("train", "test")}
    loaded = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert loaded["test"][0]["messages"][1]["content"] == "¿qué tal?"


def test_the_output_lies_beside_the_stages_and_is_not_made_twice(prepared):
    config, inputs, output = prepared
    report = export.run(config, inputs, output)
    made = artifact(output, "export", report.metrics)
    place = export.deliver_output(config, made)
    assert place == str(config.workdir / "data")
    before = (config.workdir / "data" / "DATA.md").stat().st_ino
    export.deliver_output(config, made)
    assert (config.workdir / "data" / "DATA.md").stat().st_ino == before
