"""What is found out on this machine before anything runs."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from trainwright import models
from trainwright.api import Spec, resolve
from trainwright.artifacts import Artifact
from trainwright.contract import RunConfig
from trainwright.errors import BadInput
from trainwright.plan import facts, gguf_header


def config(
    folder: Path, *, sources: list[dict[str, Any]], model: dict[str, Any] | None = None, **settings: Any
) -> RunConfig:
    scratch = {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 1000}}}
    spec = resolve(Spec.model_validate({"model": model or scratch, "data": {"sources": sources}}))
    return RunConfig(name="run", spec=spec, workdir=folder / "new" / "work", base_folder=folder, **settings)


def test_plain_text_is_sized_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x" * 3060)
    source = facts.collect(config(tmp_path, sources=[{"uri": "./*.jsonl"}]), {}).sources[0]
    assert source.text_bytes == 3060


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.parquet"])
def test_rows_of_compressed_files_are_not_guessed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x" * 3060)
    source = facts.collect(config(tmp_path, sources=[{"uri": f"./{name}"}]), {}).sources[0]
    assert source.text_bytes is None
    assert name in source.missing


def test_a_source_elsewhere_is_said_to_be_so(tmp_path: Path) -> None:
    source = facts.collect(config(tmp_path, sources=[{"uri": "s3://corpus/a.jsonl"}]), {}).sources[0]
    assert source.missing.startswith("s3://corpus/a.jsonl is not on this machine")


def test_a_sample_limits_every_source(tmp_path: Path) -> None:
    sources = [{"uri": "s3://a/b", "maxRows": 50}, {"uri": "s3://a/c", "maxRows": 5000}, {"uri": "s3://a/d"}]
    found = facts.collect(config(tmp_path, sources=sources, sample=100), {}).sources
    assert [source.limit for source in found] == [50, 100, 100]


def test_counts_of_ingest_replace_what_files_say(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x" * 3060)
    ingest = Artifact(stage="ingest", key="0", folder=tmp_path, done={"counts": {}, "metrics": {}})
    (tmp_path / "sources.json").write_text(json.dumps([{"uri": "./a.jsonl", "exchanges": 7}]))
    source = facts.collect(config(tmp_path, sources=[{"uri": "./a.jsonl"}]), {"ingest": ingest}).sources[0]
    assert (source.exchanges, source.text_bytes) == (7, None)


def test_a_trained_tokenizer_sets_the_vocabulary(tmp_path: Path) -> None:
    found = facts.collect(config(tmp_path, sources=[{"uri": "s3://a/b"}]), {})
    assert found.shape is not None
    assert found.shape.vocabulary == 1000
    assert found.shape.parameters == models.parameter_count({**models.PRESETS["llama-tiny"], "vocab_size": 1000})


def test_a_local_model_is_sized_by_its_config_json(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(models.PRESETS["llama-3.2-1b"]))
    found = facts.collect(config(tmp_path, sources=[{"uri": "s3://a/b"}], model={"from": "./model"}), {})
    assert found.shape is not None
    assert found.shape.parameters == 1_235_814_400


@pytest.mark.parametrize("content", [None, "{}", "no json", '{"architectures": ["Unknown"]}'])
def test_a_model_that_cannot_be_sized_is_said_and_not_fatal(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "model").mkdir()
    if content is not None:
        (tmp_path / "model" / "config.json").write_text(content)
    found = facts.collect(config(tmp_path, sources=[{"uri": "s3://a/b"}], model={"from": "./model"}), {})
    assert found.shape is None
    assert found.shape_basis.startswith("not known yet: ")


def test_free_bytes_are_those_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    machine = facts.this_machine(config(tmp_path, sources=[{"uri": "s3://a/b"}], processes=2, workers=1))
    assert machine.free_bytes is not None
    assert machine.free_bytes > 0
    assert machine.devices == 2


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(tensors: tuple[str, ...]) -> bytes:
    """The header of a GGUF file of Llama 3.2 1B's shape."""
    numbers = {
        "llama.block_count": 16,
        "llama.embedding_length": 2048,
        "llama.feed_forward_length": 8192,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.context_length": 131_072,
    }
    keys = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    keys += [text(name) + struct.pack("<II", 4, value) for name, value in numbers.items()]
    words = b"".join(text(f"token{n}") for n in range(100))
    keys.append(text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 100) + words)
    keys.append(text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 100) + bytes(400))
    infos = b"".join(text(name) + struct.pack("<IQQIQ", 2, 4, 4, 0, 0) for name in tensors)
    return b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + infos


def test_a_gguf_file_is_sized_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "tied.gguf").write_bytes(gguf(("token_embd.weight",)))
    (tmp_path / "untied.gguf").write_bytes(gguf(("token_embd.weight", "output.weight")))
    tied, untied = (models.parameter_count(gguf_header.read_config(tmp_path / f"{n}.gguf")) for n in ("tied", "untied"))
    assert tied == models.parameter_count({**models.PRESETS["llama-3.2-1b"], "vocab_size": 100})
    assert untied - tied == 100 * 2048


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", gguf(())[:200], b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1)])
def test_a_damaged_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    with pytest.raises(BadInput, match="is no complete GGUF file"):
        gguf_header.read_config(tmp_path / "a.gguf")
