"""Existing weights: what comes out is whole and verified, and what is not is refused with what to do."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from trainwright.errors import BadInput
from trainwright.models import load_model
from transformers import AutoTokenizer

from tests.tiny_models import model_folder, write_gguf
from tests.unit.weights.fetching import fetch


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_comes_out_with_equal_weights_and_its_figures(model: Path, tmp_path: Path) -> None:
    report, output = fetch(tmp_path, {"from": "./model"})
    before, after = load_file(model / "model.safetensors"), load_file(output / "model" / "model.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    loaded = load_model(output / "model", dtype=torch.float32)
    assert report.metrics["parameters"] == sum(parameter.numel() for parameter in loaded.parameters())
    assert (report.metrics["architecture"], report.metrics["dtype"]) == ("LlamaForCausalLM", "F32")
    assert (report.metrics["maxPositions"], report.metrics["scratch"], report.metrics["revision"]) == (128, False, None)
    assert AutoTokenizer.from_pretrained(output / "tokenizer").eos_token == "<|im_end|>"


def test_the_digest_changes_with_any_byte_of_model_or_tokenizer(model: Path, tmp_path: Path) -> None:
    digests = {fetch(tmp_path, {"from": "./model"})[0].metrics["digest"] for _ in range(2)}
    assert len(digests) == 1
    path = model / "tokenizer_config.json"
    edit(path, model_max_length=77)
    digests.add(fetch(tmp_path, {"from": "./model"})[0].metrics["digest"])
    tensors = load_file(model / "model.safetensors")
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    digests.add(fetch(tmp_path, {"from": "./model"})[0].metrics["digest"])
    assert len(digests) == 3


def test_only_needed_files_are_taken(model: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "modeling_evil.py", "README.md", "optimizer.pt"):
        (model / name).write_bytes(b"x")
    (model / "onnx").mkdir()
    (model / "onnx" / "model.safetensors").write_bytes(b"x")
    _, output = fetch(tmp_path, {"from": "./model"})
    names = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    assert {"model/config.json", "model/generation_config.json", "model/model.safetensors"} <= names
    assert not any(name.endswith((".bin", ".py", ".pt", ".md")) or "onnx" in name for name in names)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt"])
def test_pickled_weights_are_refused_and_never_opened(model: Path, tmp_path: Path, name: str) -> None:
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(BadInput, match=f"only as a pickle .{name}") as caught:
        fetch(tmp_path, {"from": "./model"})
    assert "save_pretrained" in caught.value.hint


def test_a_folder_without_weights_is_an_error(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="holds no weights"):
        fetch(tmp_path, {"from": "./model"})


@pytest.mark.parametrize("kept", [4, 400, -40])
def test_truncated_safetensors_are_named(model: Path, tmp_path: Path, kept: int) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"model.safetensors is truncated or damaged"):
        fetch(tmp_path, {"from": "./model"})


def test_a_missing_shard_is_named(model: Path, tmp_path: Path) -> None:
    names = {
        "model.norm.weight": "model-00001-of-00002.safetensors",
        "lm_head.weight": "model-00002-of-00002.safetensors",
    }
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    (model / "model.safetensors").rename(model / "model-00001-of-00002.safetensors")
    with pytest.raises(BadInput, match=r"names model-00002-of-00002.safetensors, which is not there"):
        fetch(tmp_path, {"from": "./model"})


def test_weights_in_several_files_are_read_as_one_model(model: Path, tmp_path: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"a.safetensors": names[:7], "b.safetensors": names[7:]}
    for file, inside in parts.items():
        save_file({name: tensors[name] for name in inside}, model / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, inside in parts.items() for name in inside}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    _, output = fetch(tmp_path, {"from": "./model"})
    loaded = load_model(output / "model", dtype=torch.float32).state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in names)


def test_weights_that_do_not_fit_the_config_are_an_error(model: Path, tmp_path: Path) -> None:
    edit(model / "config.json", num_hidden_layers=3)
    with pytest.raises(BadInput, match=r"hold [\d,]+ parameters, but config.json describes [\d,]+"):
        fetch(tmp_path, {"from": "./model"})


@pytest.mark.parametrize("names", [["GPT2LMHeadModel"], [], None])
def test_an_architecture_that_is_not_known_is_an_error_that_lists_the_known_ones(
    model: Path, tmp_path: Path, names: list[str] | None
) -> None:
    edit(model / "config.json", architectures=names)
    with pytest.raises(BadInput, match="architecture") as caught:
        fetch(tmp_path, {"from": "./model"})
    assert "LlamaForCausalLM" in caught.value.hint


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_config_that_is_no_object_is_an_error(model: Path, tmp_path: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    with pytest.raises(BadInput, match=r"config.json of ./model is not"):
        fetch(tmp_path, {"from": "./model"})


def test_another_tokenizer_takes_the_place_of_the_models_own(model: Path, tmp_path: Path) -> None:
    other = json.loads((model / "tokenizer.json").read_text())
    other["added_tokens"][1]["content"] = "<other>"
    (tmp_path / "other.json").write_text(json.dumps(other))
    _, output = fetch(tmp_path, {"from": "./model", "tokenizer": {"from": "./other.json"}})
    assert json.loads((output / "tokenizer" / "tokenizer.json").read_text())["added_tokens"][1]["content"] == "<other>"
    assert not (output / "tokenizer" / "chat_template.jinja").exists()


def test_a_model_without_a_tokenizer_is_an_error_that_names_the_setting(model: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (model / name).unlink()
    with pytest.raises(BadInput, match="has no tokenizer") as caught:
        fetch(tmp_path, {"from": "./model"})
    assert "model.tokenizer.from" in caught.value.hint


def test_an_older_tokenizer_is_converted(model: Path, tmp_path: Path) -> None:
    found = json.loads((model / "tokenizer.json").read_text())["model"]
    (model / "tokenizer.json").unlink()
    (model / "vocab.json").write_text(json.dumps(found["vocab"]))
    (model / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in found["merges"]))
    edit(model / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer", unk_token="<pad>")
    _, output = fetch(tmp_path, {"from": "./model"})
    hub = AutoTokenizer.from_pretrained(output / "tokenizer")
    assert hub.decode(hub("Tokyo is the capital")["input_ids"]) == "Tokyo is the capital"
    assert (output / "tokenizer" / "tokenizer.json").exists()


def test_a_gguf_file_becomes_plain_safetensors(tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "toy.gguf")
    report, output = fetch(tmp_path, {"from": "./toy.gguf"})
    loaded = load_model(output / "model", dtype=torch.float32).state_dict()
    assert all(torch.allclose(loaded[name], tensor) for name, tensor in weights.items())
    assert torch.equal(loaded["lm_head.weight"], loaded["model.embed_tokens.weight"])
    assert "quantization_config" not in json.loads((output / "model" / "config.json").read_text())
    assert report.metrics["parameters"] == sum(tensor.numel() for tensor in weights.values())
    hub = AutoTokenizer.from_pretrained(output / "tokenizer")
    assert hub.decode(hub("Tokyo is the capital")["input_ids"]) == "Tokyo is the capital"
    assert "is_local" not in json.loads((output / "tokenizer" / "tokenizer_config.json").read_text())


@pytest.mark.parametrize("kept", [2, 1000, -2000])
def test_a_truncated_gguf_file_is_an_error(tmp_path: Path, kept: int) -> None:
    write_gguf(tmp_path / "toy.gguf")
    (tmp_path / "toy.gguf").write_bytes((tmp_path / "toy.gguf").read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"toy.gguf (cannot be converted|is not a GGUF file)"):
        fetch(tmp_path, {"from": "./toy.gguf"})


def test_of_several_gguf_files_one_must_be_named(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(b"GGUF")
    with pytest.raises(BadInput, match=r"holds 2 .gguf files") as caught:
        fetch(tmp_path, {"from": "./folder"})
    assert "./folder/a.gguf" in caught.value.hint


def test_a_model_inside_a_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "toy_model_package"
    model_folder(package / "inside")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    report, _ = fetch(tmp_path, {"from": "pkg://toy_model_package/inside"})
    assert report.metrics["architecture"] == "LlamaForCausalLM"


def test_the_source_is_left_as_it_was(model: Path, tmp_path: Path) -> None:
    edit(model / "generation_config.json", do_sample=False, temperature=0.9)

    def state() -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(model.iterdir())}

    before = state()
    fetch(tmp_path, {"from": "./model"})
    assert state() == before
