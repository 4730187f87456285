"""Converts a GGUF file to fp32 safetensors, config and tokenizer, so that nothing after it knows of GGUF."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from trainwright.errors import BadInput

_OURS = ("is_local", "local_files_only", "backend", "name_or_path")


def convert_gguf(file: Path, output: Path) -> None:
    """Write `output`/model (fp32 safetensors, config.json) and `output`/tokenizer.

    Raises:
        BadInput: the file is no GGUF, truncated, or of an architecture that transformers cannot read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    _check_magic(file)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            local_files_only=True,
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error) as error:
        raise BadInput(
            f"{file} cannot be converted: {(str(error).splitlines() or [type(error).__name__])[0]}",
            hint="the file may be truncated, or its architecture unknown: name a folder with safetensors instead",
        ) from error
    model.save_pretrained(output / "model")
    tokenizer.save_pretrained(output / "tokenizer")
    _settle_tokenizer_class(output / "tokenizer" / "tokenizer_config.json")


def _check_magic(file: Path) -> None:
    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise BadInput(f"{file} is not a GGUF file", hint="name a .gguf file or a folder with safetensors")


def _settle_tokenizer_class(path: Path) -> None:
    """Name the class that every version of transformers knows, and forget where the file lay."""
    settings = json.loads(path.read_text("utf-8"))
    kept = {name: value for name, value in settings.items() if name not in _OURS}
    kept |= {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
