"""Read a model's sizes from the header of a GGUF file, as a config.json; the weights are not touched.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 2 and 3, little-endian).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from trainwright.errors import BadInput

MAGIC = b"GGUF"
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
LARGEST_COUNT = 1 << 24
"""No model has more keys, tensors or tokens; a larger number is a damaged file."""
ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def read_config(path: Path) -> dict[str, Any]:
    """Return the sizes under the names that config.json uses.

    Raises:
        BadInput: the file is no GGUF, is damaged, or holds an unknown architecture.
    """
    with path.open("rb") as file:
        try:
            values, tensors = _read_header(file)
            return _as_config(values, tensors)
        except (struct.error, KeyError, ValueError) as error:
            raise BadInput(f"{path} is no complete GGUF file ({error})", hint="download it again") from error


def _as_config(values: dict[str, Any], tensors: set[str]) -> dict[str, Any]:
    kind = values["general.architecture"]
    heads = values[f"{kind}.attention.head_count"]
    return {
        "architectures": [ARCHITECTURES[kind]],
        "hidden_size": values[f"{kind}.embedding_length"],
        "intermediate_size": values[f"{kind}.feed_forward_length"],
        "num_hidden_layers": values[f"{kind}.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": values.get(f"{kind}.attention.head_count_kv", heads),
        "head_dim": values.get(f"{kind}.attention.key_length"),
        "vocab_size": values["tokenizer.ggml.tokens"],
        "max_position_embeddings": values.get(f"{kind}.context_length", 2048),
        "tie_word_embeddings": "output.weight" not in tensors,
    }


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], set[str]]:
    """All keys with scalar or text values (of arrays their length), and the names of the tensors."""
    if file.read(4) != MAGIC:
        raise ValueError("it does not begin with GGUF")
    _scalar(file, "<I")
    tensor_count, key_count = _count(file), _count(file)
    values = {}
    for _ in range(key_count):
        name = _text(file)
        values[name] = _value(file, _scalar(file, "<I"))
    names = set()
    for _ in range(tensor_count):
        names.add(_text(file))
        file.seek(8 * _scalar(file, "<I") + 4 + 8, 1)
    return values, names


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _text(file)
    if kind == ARRAY:
        item, length = _scalar(file, "<I"), _count(file)
        if item in SCALARS:
            file.seek(struct.calcsize(SCALARS[item]) * length, 1)
        else:
            for _ in range(length):
                _value(file, item)
        return length
    return _scalar(file, SCALARS[kind])


def _text(file: BinaryIO) -> str:
    return file.read(_count(file)).decode("utf-8", "replace")


def _count(file: BinaryIO) -> int:
    number: int = _scalar(file, "<Q")
    if number > LARGEST_COUNT:
        raise ValueError(f"a count of {number}")
    return number


def _scalar(file: BinaryIO, layout: str) -> Any:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))[0]
