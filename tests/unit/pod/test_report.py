"""What a pod leaves at its end: it fits into a termination message whatever happened, and reads as the status does."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from trainwright import pod_report
from trainwright.api import Spec
from trainwright.artifacts import Artifact
from trainwright.contract import MESSAGE_BYTES, STAGES, PodReport, RunConfig, StageReport, Verdict

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=2000)


def evaluations(count: int) -> list[dict[str, float]]:
    return [{"step": n, "loss": 2.123456789 + n, "perplexity": 9.87654321 + n} for n in range(count)]


@given(message=ANY_TEXT, hint=ANY_TEXT, words=ANY_TEXT, count=st.integers(0, 40))
def test_a_report_always_fits_and_keeps_its_states_keys_and_reason(
    message: str, hint: str, words: str, count: int
) -> None:
    names = [stage.name for stage in STAGES]
    report = PodReport.model_validate(
        {
            "stages": {name: {"state": "Failed", "key": "0" * 16, "message": words[:512]} for name in names},
            "keys": dict.fromkeys(names, "0" * 16),
            "data": {"dropped": {f"{words[:50]}{n}": n for n in range(32)}},
            "evaluations": evaluations(count),
            "failure": {"reason": "NonFinite", "message": message, "hint": hint, "exit_code": 2},
        }
    )
    text = report.to_message()
    assert len(text.encode()) <= MESSAGE_BYTES
    read = PodReport.model_validate_json(text)
    assert read.keys == report.keys
    assert {entry.state for entry in read.stages.values()} == {"Failed"}
    assert read.failure is not None
    assert (read.failure.reason, read.failure.exit_code) == ("NonFinite", 2)


def test_what_is_needed_least_goes_first() -> None:
    report = PodReport.model_validate(
        {
            "stages": {"train": {"state": "Succeeded", "message": "12 steps"}},
            "evaluations": evaluations(32),
            "failure": {"reason": "Error", "message": "what happened " * 170, "exit_code": 1},
        }
    )
    read = PodReport.model_validate_json(report.to_message())
    assert [each.step for each in read.evaluations or ()] == list(range(22, 32))
    assert read.failure == report.failure
    assert read.stages == {"train": StageReport(state="Succeeded", message="12 steps")}


def test_reasons_of_all_steps_are_summed_and_the_most_frequent_told(tmp_path: Path) -> None:
    steps = [{"reasons": {"empty": 3, "tooLong": 1}}, {"reasons": {"empty": 2, "rare": 0}}, {}]
    done = {"counts": {"rowsIn": 10, "rowsKept": 4}, "metrics": {"steps": steps, "fingerprint": "sha256:1"}}
    prepare = Artifact(stage="prepare", key="k", folder=tmp_path, done=done)
    data = pod_report.fragments(config(tmp_path), {"prepare": prepare})["data"]
    assert data.model_dump(by_alias=True, exclude_none=True) == {
        "fingerprint": "sha256:1",
        "rowsIn": 10,
        "rowsKept": 4,
        "dropped": {"empty": 5, "tooLong": 1},
    }


def test_a_training_at_work_tells_its_best_and_a_checkpoint_only_with_its_manifest(tmp_path: Path) -> None:
    train = tmp_path / "stages" / "train" / "key"
    for step in (4, 8, 12):
        (train / "checkpoints" / f"step-{step}").mkdir(parents=True)
    for step in (4, 8):
        (train / "checkpoints" / f"step-{step}" / "manifest.json").write_text("{}")
    (train / "candidates" / "step-4").mkdir(parents=True)
    lines = [{"step": 0, "loss": 0.1}, {"step": 4, "loss": 2.0}, {"step": 8, "loss": 2.5}]
    (train / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 12, "lo')
    found = pod_report.of_training(config(tmp_path), train)
    assert [each.step for each in found["evaluations"]] == [0, 4, 8]
    assert (found["best"].step, found["best"].uri) == (4, "pvc://claim/stages/train/key/candidates/step-4")
    assert (found["checkpoint"].step, found["checkpoint"].uri) == (8, "pvc://claim/stages/train/key/checkpoints/step-8")


def test_a_verdict_travels_whole() -> None:
    verdict = Verdict(reason="RankCrashed", message="rank 3 ended", exit_code=3, rank=3, step=7, stage="train")
    assert PodReport.model_validate_json(PodReport(failure=verdict).to_message()).failure == verdict


def config(folder: Path) -> RunConfig:
    spec = Spec.model_validate({"model": {"from": "./m"}, "data": {"sources": [{"uri": "./x"}]}})
    return RunConfig(name="run", spec=spec, workdir=folder, base_folder=folder, workdir_uri="pvc://claim")
