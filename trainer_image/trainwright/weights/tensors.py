"""Verifies the safetensors of a model against its config.json, reading only their headers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from trainwright.errors import BadInput
from trainwright.models import parameter_count

INDEX = "model.safetensors.index.json"
_BUFFERS = ("rotary_emb.inv_freq",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """What the safetensors of a model hold."""

    parameters: int
    dtype: str


def verify_tensors(folder: Path, config: Mapping[str, Any]) -> Tensors:
    """Check that every file is whole and that together they hold exactly the parameters config.json describes.

    Raises:
        BadInput: a file is truncated or missing, or the numbers differ.
    """
    files = _files(folder)
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: Counter[str] = Counter()
    for file in files:
        try:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a dict
                    part = tensors.get_slice(name)
                    shapes[name] = tuple(part.get_shape())
                    dtypes[str(part.get_dtype())] += prod(shapes[name])
        except (SafetensorError, OSError) as error:
            raise BadInput(
                f"{file.name} is truncated or damaged: {error}", hint="fetch the model again, or name another copy"
            ) from error
    if config.get("tie_word_embeddings"):
        shapes.pop("lm_head.weight", None)
    found = sum(prod(shape) for name, shape in shapes.items() if not name.endswith(_BUFFERS))
    expected = parameter_count(config)
    if found != expected:
        raise BadInput(
            f"the safetensors hold {found:,} parameters, but config.json describes {expected:,}",
            hint="the folder must hold config.json and all safetensors of one model",
        )
    return Tensors(parameters=found, dtype=dtypes.most_common(1)[0][0])


def _files(folder: Path) -> list[Path]:
    """The safetensors that count: those of the index, if there is one."""
    if not (folder / INDEX).exists():
        return sorted(folder.glob("*.safetensors"))
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise BadInput(f"{INDEX} is damaged", hint="fetch the model again") from error
    missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if missing:
        raise BadInput(f"{INDEX} names {missing[0]}, which is not there", hint="fetch the model again, all its files")
    return [folder / name for name in names]
