"""What a finished run leaves, and what a second one costs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trainwright.contract import RunConfig
from trainwright.survey import survey

from tests.local.run.conftest import Command, finished, rows, write_jsonl, write_run


def test_a_run_ends_with_model_report_metrics_and_stages(small: Path) -> None:
    work = small / "work"
    names = {path.name for path in work.iterdir()}
    assert {"model", "report.html", "metrics.json", "stages", "run.json", "plan.json"} <= names
    stages = {name.split("/")[0] for name in finished(work)}
    assert stages == {"weights", "ingest", "prepare", "tokenize", "train", "evaluate", "export", "report"}
    assert json.loads((work / "metrics.json").read_text())["result"]["perplexity"] > 1


def test_the_model_loads_and_answers_in_a_process_without_this_package(small: Path, tmp_path: Path) -> None:
    script = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
assert not any("trainwright" in path for path in sys.path)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
said = [{"role": "user", "content": "Hello"}]
ids = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(model.generate(**ids, max_new_tokens=3, do_sample=False).shape[1] - ids["input_ids"].shape[1])
"""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", script, str(small / "work" / "model")],
        capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) <= 3


def test_every_file_of_the_result_is_readable_for_all(small: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in (small / "work" / "model").rglob("*") if path.is_file()}
    assert "model.safetensors" in modes
    assert {name: mode for name, mode in modes.items() if mode != 0o644} == {}


def test_the_second_run_reuses_every_stage_within_five_seconds(small: Path, trainwright: Command) -> None:
    before = finished(small / "work")
    started = time.monotonic()
    done = trainwright("run", small / "run.yaml", "--workdir", small / "work")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("reused") >= 2 * len(before)
    assert finished(small / "work") == before
    assert time.monotonic() - started < 5


def test_a_lost_result_is_delivered_again_without_running_anything(
    small: Path, tmp_path: Path, trainwright: Command
) -> None:
    folder = copy(small, tmp_path)
    shutil.rmtree(folder / "work" / "model")
    (folder / "work" / "report.html").unlink()
    before = finished(folder / "work")
    done = trainwright("run", folder / "run.yaml", "--workdir", folder / "work")
    assert done.returncode == 0, done.stderr
    assert (folder / "work" / "model" / "model.safetensors").exists()
    assert (folder / "work" / "report.html").exists()
    assert finished(folder / "work") == before


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"training": {"maxSteps": 6, "batchTokens": 256, "sequenceLength": 64, "learningRate": 2e-3}}, {"train"}),
        ({"output": {"uri": "./elsewhere"}}, set()),
        ({"evaluation": {"every": 3, "maxRows": 20, "generate": {"rows": 2, "maxNewTokens": 4}}}, {"evaluate"}),
    ],
)
def test_only_stages_whose_inputs_changed_run_again(
    small: Path, tmp_path: Path, trainwright: Command, change: dict[str, object], again: set[str]
) -> None:
    folder = copy(small, tmp_path)
    before = finished(folder / "work")
    done = trainwright("run", write_run(folder, change), "--workdir", folder / "work", "--until", "evaluate")
    assert done.returncode == 0, done.stderr
    new = {name.split("/")[0] for name in set(finished(folder / "work")) - set(before)}
    assert new == again | ({"evaluate"} if "train" in again else set())
    for stage in again:
        assert f"  {stage:<9} will run, because " in done.stdout


def test_changed_bytes_under_an_old_name_size_and_time_are_seen(
    small: Path, tmp_path: Path, trainwright: Command
) -> None:
    folder = copy(small, tmp_path)
    path = folder / "rows.jsonl"
    stat = path.stat()
    path.write_text(path.read_text().replace("blue", "grey", 1))
    import os

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    done = trainwright("run", folder / "run.yaml", "--workdir", folder / "work", "--until", "prepare")
    assert done.returncode == 0, done.stderr
    assert "ingest    will run, because the content of ./rows.jsonl changed" in done.stdout
    assert "prepare   will run, because stage ingest changed" in done.stdout


def test_a_moved_workdir_is_reused_whole(small: Path, tmp_path: Path, trainwright: Command) -> None:
    folder = copy(small, tmp_path)
    (folder / "work").rename(folder / "moved")
    before = finished(folder / "moved")
    done = trainwright("run", folder / "run.yaml", "--workdir", folder / "moved")
    assert done.returncode == 0, done.stderr
    assert finished(folder / "moved") == before


def test_result_and_report_go_to_the_output(small: Path, tmp_path: Path, trainwright: Command) -> None:
    folder = copy(small, tmp_path)
    done = trainwright("run", write_run(folder, {"output": {"uri": "./out"}}), "--workdir", folder / "work")
    assert done.returncode == 0, done.stderr
    there = {path.name for path in (folder / "out").iterdir()}
    assert {"model.safetensors", "manifest.json", "report.html", "metrics.json"} <= there


def test_fresh_makes_a_finished_stage_again(small: Path, tmp_path: Path, trainwright: Command) -> None:
    folder = copy(small, tmp_path)
    before = finished(folder / "work")
    arguments = ("run", folder / "run.yaml", "--workdir", folder / "work", "--until", "prepare", "--fresh", "prepare")
    done = trainwright(*arguments)
    assert done.returncode == 0, done.stderr
    after = finished(folder / "work")
    changed = {name.split("/")[0] for name in before if before[name] != after.get(name)}
    assert changed == {"prepare"}
    prepare = next(name for name in before if name.startswith("prepare/"))
    assert before[prepare]["counts"] == after[prepare]["counts"]


def test_looking_at_what_fresh_would_do_takes_nothing_away(small: Path, tmp_path: Path) -> None:
    work = copy(small, tmp_path) / "work"
    before = finished(work)
    config = RunConfig.model_validate_json((work / "run.json").read_text()).model_copy(update={"workdir": work})
    (prepare,) = [step for step in survey(config, fresh=("prepare",)) if step.stage.name == "prepare"]
    assert (prepare.will, prepare.because) == ("will run", "--fresh asks for it")
    assert finished(work) == before


def test_sample_takes_part_of_each_source(tmp_path: Path, trainwright: Command) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(200))
    run = write_run(tmp_path)
    done = trainwright("run", run, "--workdir", tmp_path / "work", "--until", "ingest", "--sample", "50")
    assert done.returncode == 0, done.stderr
    ingest = next(done for name, done in finished(tmp_path / "work").items() if name.startswith("ingest/"))
    assert ingest["counts"]["exchanges"] == 50


def test_rows_can_be_prepared_without_a_model(tmp_path: Path, trainwright: Command) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows(100))
    document = write_run(tmp_path)
    import yaml

    content = yaml.safe_load(document.read_text())
    content["spec"] = {"goal": "PrepareData", "data": content["spec"]["data"], "vectorStore": {"enabled": False}}
    document.write_text(yaml.safe_dump(content))
    done = trainwright("run", document, "--workdir", tmp_path / "work")
    assert done.returncode == 0, done.stderr
    stages = {name.split("/")[0] for name in finished(tmp_path / "work")}
    assert stages == {"ingest", "prepare", "export", "report"}
    assert (tmp_path / "work" / "data" / "manifest.json").exists()


def copy(small: Path, into: Path) -> Path:
    """A copy of the finished run that a test may change."""
    return Path(shutil.copytree(small, into / "copy"))
