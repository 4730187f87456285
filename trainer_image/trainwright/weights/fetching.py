"""Brings the files of a model or tokenizer into the stage's output: only those that are needed, never a pickle.

A repository of the hub is read at one commit, which is reported as the revision.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from trainwright.contract import RunConfig
from trainwright.errors import BadInput
from trainwright.models import PICKLE_SUFFIXES
from trainwright.storage import File, list_files, store_error

MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors.index.json")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
BLOCK_BYTES = 1 << 22
_HUB = re.compile(r"hf://([^/@]+/[^/@]+)(?:@([^/]+))?")


def pinned(uri: str) -> tuple[str, str | None]:
    """The URI at one commit of the hub and that commit; other URIs as they are, with no revision.

    Raises:
        BadInput: there is no such repository or revision, or it needs a token or a licence.
        RetryLater: the hub does not answer.
    """
    match = _HUB.match(uri)
    if match is None:
        return uri, None
    from huggingface_hub import HfApi

    repository, revision = match.groups()
    try:
        commit = str(HfApi().model_info(repository, revision=revision).sha)
    except Exception as error:
        raise store_error(uri, error) from error
    return f"hf://{repository}@{commit}{uri[match.end() :]}", commit


def fetch_model(uri: str, config: RunConfig, output: Path) -> Path | None:
    """Copy model and tokenizer files of a folder or repository into `output`/model and /tokenizer.

    Returns the .gguf file, on this machine, if that is what the URI holds instead.

    Raises:
        BadInput: there are no weights, or only pickles.
    """
    files = list_files(uri, config)
    named = {file.name: file for file in files if "/" not in file.name}
    tensors = [name for name in named if name.endswith(".safetensors")]
    ggufs = [name for name in named if name.endswith(".gguf")]
    if not tensors and ggufs:
        if len(ggufs) > 1:
            raise BadInput(f"{uri} holds {len(ggufs)} .gguf files", hint=f"name one of them, as {uri}/{min(ggufs)}")
        return _on_this_machine(named[ggufs[0]], output)
    if not tensors:
        raise _no_weights(uri, named)
    if "config.json" not in named:
        raise BadInput(f"{uri} has no config.json", hint="a model folder has config.json beside its safetensors")
    _copy((named[name] for name in [*MODEL_FILES, *tensors] if name in named), output / "model")
    _copy((named[name] for name in TOKENIZER_FILES if name in named), output / "tokenizer")
    return None


def fetch_tokenizer(uri: str, config: RunConfig, folder: Path) -> None:
    """Copy a tokenizer.json, or the tokenizer of a folder or repository, in place of what is in `folder`."""
    files = {Path(file.name).name: file for file in list_files(uri, config) if "/" not in file.name}
    if len(files) == 1 and uri.endswith(".json"):
        files = {"tokenizer.json": next(iter(files.values()))}
    chosen = [files[name] for name in TOKENIZER_FILES if name in files]
    if not chosen:
        raise BadInput(
            f"{uri} holds no tokenizer", hint="name a tokenizer.json, or a folder or repository that has one"
        )
    if folder.exists():
        shutil.rmtree(folder)
    for name in TOKENIZER_FILES:
        if name in files:
            _copy_one(files[name], folder / name)


def complete_tokenizer(folder: Path, uri: str) -> None:
    """Make sure that `folder` has a tokenizer.json; vocab.json with merges.txt or a tokenizer.model are converted.

    Raises:
        BadInput: there is no tokenizer, or it cannot be converted.
    """
    if not (folder / "tokenizer.json").exists():
        if not folder.is_dir() or not any(folder.iterdir()):
            raise BadInput(f"{uri} has no tokenizer", hint="name one with model.tokenizer.from")
        _convert(folder, uri)
    settings = folder / "tokenizer_config.json"
    if not settings.exists():
        settings.write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}, indent=1) + "\n", "utf-8")


def _convert(folder: Path, uri: str) -> None:
    from transformers import AutoTokenizer

    try:
        AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False).save_pretrained(folder)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise BadInput(
            f"the tokenizer of {uri} cannot be converted to a tokenizer.json: {str(error).splitlines()[0]}",
            hint="name a tokenizer.json with model.tokenizer.from",
        ) from error
    if not (folder / "tokenizer.json").exists():
        raise BadInput(f"the tokenizer of {uri} has no tokenizer.json", hint="name one with model.tokenizer.from")


def _no_weights(uri: str, files: Iterable[str]) -> BadInput:
    pickles = sorted(name for name in files if name.endswith(PICKLE_SUFFIXES))
    if pickles:
        return BadInput(
            f"{uri} has its weights only as a pickle ({pickles[0]}), and loading one can run any code",
            hint="save the model with save_pretrained (safetensors), then name that folder",
        )
    return BadInput(
        f"{uri} holds no weights", hint="a model is a folder with config.json and *.safetensors, or one .gguf"
    )


def _on_this_machine(file: File, output: Path) -> Path:
    if file.local is not None:
        return file.local
    _copy_one(file, output / "fetched" / Path(file.name).name)
    return output / "fetched" / Path(file.name).name


def _copy(files: Iterable[File], folder: Path) -> None:
    for file in files:
        _copy_one(file, folder / Path(file.name).name)


def _copy_one(file: File, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        for block in _blocks(file):
            sink.write(block)


def _blocks(file: File) -> Iterator[bytes]:
    with file.open() as source:
        while True:
            try:
                block = source.read(BLOCK_BYTES)
            except Exception as error:
                raise store_error(file.uri, error) from error
            if not block:
                return
            yield block
