"""From a candidate to a delivered model, each reloaded in a clean process: all weights and LoRA, fp32 and bf16."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainwright import evaluate, export
from trainwright.errors import BadInput, TrainwrightError
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_run import artifact, tiny_run

KINDS = [(False, "fp32"), (False, "bf16"), (True, "fp32"), (True, "bf16")]


def judged(run):
    """The run with the artifact of evaluate."""
    output = run.config.workdir / "evaluate"
    output.mkdir()
    report = evaluate.run(run.config, run.inputs, output)
    run.inputs["evaluate"] = artifact(output, "evaluate", report.metrics)
    return run


@pytest.fixture(scope="module", params=KINDS, ids=["full-fp32", "full-bf16", "lora-fp32", "lora-bf16"])
def exported(request, tmp_path_factory):
    lora, precision = request.param
    run = judged(tiny_run(tmp_path_factory.mktemp("export") / "run", lora=lora, precision=precision))
    output = run.config.workdir / "export"
    output.mkdir()
    return run, output, export.run(run.config, run.inputs, output)


@pytest.fixture
def run(tmp_path):
    return judged(tiny_run(tmp_path / "run"))


def test_the_reloaded_model_has_the_loss_that_training_had(exported):
    run, _, report = exported
    tolerance = 1e-4 if run.config.spec.training.precision == "fp32" else 5e-3
    recorded = run.inputs["train"].metrics["best"]["loss"]
    assert report.metrics["reloadLoss"] == pytest.approx(report.metrics["trainerLoss"], rel=tolerance, abs=tolerance)
    assert report.metrics["trainerLoss"] == pytest.approx(recorded, rel=tolerance, abs=tolerance)
    assert report.metrics["firstTokenSeconds"] > 0 and report.metrics["tokensPerSecond"] > 0


def test_the_folder_is_complete_readable_for_all_and_answers_rightly(exported):
    run, output, _ = exported
    folder = output / "model"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "chat_template.jinja",
    }
    assert names >= {"README.md", "DATA.md", "manifest.json"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert next(model.parameters()).dtype == (
        torch.bfloat16 if run.config.spec.training.precision == "bf16" else torch.float32
    )
    question = [{"role": "user", "content": "Which planet is red?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    said = model.generate(**prompt, max_new_tokens=24)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(said, skip_special_tokens=True) == "Mars is red."


def test_the_model_is_delivered_once_and_again_when_a_file_is_lost(exported, tmp_path):
    run, output, report = exported
    config = run.with_spec(output={"uri": f"file://{tmp_path}/out/model"})
    made = artifact(output, "export", report.metrics)
    assert export.deliver_output(config, made) == str(tmp_path / "out" / "model")
    readme = tmp_path / "out" / "model" / "README.md"
    before = readme.stat().st_ino
    export.deliver_output(config, made)
    assert readme.stat().st_ino == before
    readme.unlink()
    export.deliver_output(config, made)
    assert readme.exists()
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name != "model"]


def test_an_export_after_a_crash_gives_the_same_files_whatever_the_generation_config_of_the_base(run, tmp_path):
    base = run.inputs["weights"].folder / "model" / "generation_config.json"
    base.write_text('{"do_sample": false, "temperature": 0.9, "unknown_key": 1, "eos_token_id": 99999}')
    outputs = [tmp_path / "first", tmp_path / "second"]
    reports = [export.run(run.config, run.inputs, output) for output in outputs]
    assert reports[0].metrics["digest"] == reports[1].metrics["digest"]
    written = json.loads((outputs[0] / "model" / "generation_config.json").read_text())
    assert written["eos_token_id"] == 2 and "temperature" not in written


def test_weights_that_are_not_those_of_the_candidate_are_not_exported(run, monkeypatch, tmp_path):
    from trainwright.export import stage

    def save_another(model, folder, settings, save=stage.save_weights):
        with torch.no_grad():
            model.model.layers[0].mlp.up_proj.weight.mul_(1.5)
        save(model, folder, settings)

    monkeypatch.setattr(stage, "save_weights", save_another)
    with pytest.raises(BadInput, match=r"the exported model has loss .* where training had"):
        export.run(run.config, run.inputs, tmp_path)
    assert not (tmp_path / "model" / "manifest.json").exists()
    assert run.candidate().exists()


def test_a_template_that_gives_other_prompts_is_not_exported(run, monkeypatch, tmp_path):
    from trainwright.export import stage

    def copy_another(tokenizer, folder, copy=stage._copy_tokenizer):
        copy(tokenizer, folder)
        template = folder / "chat_template.jinja"
        template.write_text(template.read_text().replace("<|im_start|>", "<|im_start|> ", 1))

    monkeypatch.setattr(stage, "_copy_tokenizer", copy_another)
    with pytest.raises(BadInput, match="does not give the token ids that were trained on"):
        export.run(run.config, run.inputs, tmp_path)


def test_what_transformers_cannot_load_is_told_with_its_own_words(run, monkeypatch, tmp_path):
    from trainwright.export import stage

    def copy_nothing(tokenizer, folder):
        shutil.rmtree(folder / "missing", ignore_errors=True)

    monkeypatch.setattr(stage, "_copy_tokenizer", copy_nothing)
    with pytest.raises(TrainwrightError, match=r"cannot be loaded by transformers alone: .+"):
        export.run(run.config, run.inputs, tmp_path)


def test_a_candidate_with_an_empty_tensor_is_refused(run, tmp_path):
    file = run.candidate() / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "model.norm.weight": torch.zeros(0)}, file, {"format": "pt"})
    with pytest.raises(BadInput, match=r"model.norm.weight .* has shape \(0,\)"):
        export.run(run.config, run.inputs, tmp_path)
