"""The order of work in weights: fetch, convert, verify, mend the settings for generation, hash."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainwright.api import Model
from trainwright.artifacts import Inputs
from trainwright.contract import Report, RunConfig
from trainwright.errors import BadInput
from trainwright.models import family_of, parameter_count
from trainwright.weights.fetching import complete_tokenizer, fetch_model, fetch_tokenizer, pinned
from trainwright.weights.generation import mend_config, mend_generation_config
from trainwright.weights.gguf import convert_gguf
from trainwright.weights.scratch import scratch_config
from trainwright.weights.tensors import verify_tensors

log = logging.getLogger(__name__)


def run(config: RunConfig, inputs: Inputs, output: Path) -> Report:
    """See `trainwright.weights.run`; no other stage comes before it."""
    del inputs
    model = config.spec.model
    if model is None:
        raise BadInput("spec.model is missing", hint="name weights with model.from or a shape with model.scratch")
    (output / "model").mkdir(parents=True, exist_ok=True)
    metrics = _from_scratch(model, config, output) if model.scratch else _existing(model, config, output)
    metrics["digest"] = _digest(output)
    for warning in metrics["warnings"]:
        log.warning("%s", warning)
    origin = (model.scratch.preset or "its own config.json") if model.scratch else model.from_
    words = [f"{metrics['parameters']:,} parameters of {metrics['architecture']} from {origin}", *metrics["warnings"]]
    return Report(message="; ".join(words) + ".", counts={}, metrics=metrics)


def _existing(model: Model, config: RunConfig, output: Path) -> dict[str, Any]:
    assert model.from_ is not None
    uri, revision = pinned(model.from_)
    gguf = fetch_model(uri, config, output)
    if gguf is not None:
        convert_gguf(gguf, output)
        shutil.rmtree(output / "fetched", ignore_errors=True)
    folder = output / "model"
    shape = _read_config(folder, uri)
    family_of(shape)
    tensors = verify_tensors(folder, shape)
    _tokenizer(model, config, output, uri)
    changes = mend_config(folder, shape) + mend_generation_config(folder, shape)
    return _metrics(shape, scratch=False) | {
        "parameters": tensors.parameters,
        "dtype": tensors.dtype,
        "revision": revision,
        "warnings": changes,
    }


def _from_scratch(model: Model, config: RunConfig, output: Path) -> dict[str, Any]:
    assert model.scratch is not None
    _tokenizer(model, config, output, "")
    shape = scratch_config(model.scratch, config, _vocabulary_size(model, output / "tokenizer"))
    (output / "model" / "config.json").write_text(json.dumps(shape, indent=1) + "\n", "utf-8")
    return _metrics(shape, scratch=True) | {"revision": None, "dtype": "float32", "warnings": []}


def _tokenizer(model: Model, config: RunConfig, output: Path, uri: str) -> None:
    """Settle `output`/tokenizer: the one the run names, none if it is learnt from the rows, else the model's own."""
    folder = output / "tokenizer"
    if model.tokenizer is not None and model.tokenizer.train is not None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    if model.tokenizer is not None and model.tokenizer.from_ is not None:
        uri = model.tokenizer.from_
        fetch_tokenizer(uri, config, folder)
    complete_tokenizer(folder, uri)


def _vocabulary_size(model: Model, tokenizer: Path) -> int:
    if model.tokenizer is not None and model.tokenizer.train is not None:
        return model.tokenizer.train.vocabulary_size
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab_size(with_added_tokens=True))


def _read_config(folder: Path, uri: str) -> dict[str, Any]:
    try:
        shape = json.loads((folder / "config.json").read_text("utf-8"))
    except ValueError as error:
        raise BadInput(f"config.json of {uri} is not JSON: {error}", hint="fetch the model again") from error
    if not isinstance(shape, dict):
        raise BadInput(f"config.json of {uri} is not an object", hint="fetch the model again")
    return shape


def _metrics(shape: dict[str, Any], *, scratch: bool) -> dict[str, Any]:
    return {
        "parameters": parameter_count(shape),
        "architecture": shape["architectures"][0],
        "scratch": scratch,
        "maxPositions": int(shape.get("max_position_embeddings") or 2048),
    }


def _digest(output: Path) -> str:
    """SHA-256 over the names and SHA-256 of all files, in order."""
    total = hashlib.sha256()
    for path in _files(output):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(output)} {inner}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
