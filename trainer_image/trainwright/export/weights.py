"""Writes the winner's weights as safetensors and proves that they are whole and trained.

In: the model in memory, the candidate's files and the base. Out: config.json, generation_config.json and
*.safetensors in the deliverable's folder; an error if a tensor is missing, misshapen, not finite, or as it was before
training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainwright.candidates import ADAPTER
from trainwright.errors import BadInput, NonFinite
from trainwright.export.generation_config import IDS

HINT = "nothing is delivered; run train again with --fresh train"
PEFT_PREFIX = "base_model.model."


def save_weights(model: Any, folder: Path, generation_config: Any) -> None:
    """Save weights and both configurations as transformers does; tied embeddings stay tied."""
    model.generation_config = generation_config
    model.config.use_cache = True
    for name in IDS:
        setattr(model.config, name, getattr(generation_config, name))
    model.save_pretrained(folder)
    _name_rope_for_all(folder / "config.json")


def verify_weights(folder: Path) -> int:
    """Compare the written tensors with what config.json asks for and return their number.

    Raises:
        BadInput: a tensor is missing, unknown or has another shape.
        NonFinite: a value is NaN or infinite.
    """
    expected = _expected(folder)
    found: set[str] = set()
    for name, tensor in _tensors(folder):
        if name not in expected:
            raise BadInput(f"{folder} has an unexpected tensor {name}", hint=HINT)
        if tuple(tensor.shape) != expected[name]:
            raise BadInput(f"{name} in {folder} has shape {tuple(tensor.shape)}, not {expected[name]}", hint=HINT)
        if not bool(tensor.isfinite().all()):
            raise NonFinite(f"{name} in {folder} holds values that are NaN or infinite", hint=HINT)
        found.add(name)
    if missing := sorted(expected.keys() - found):
        raise BadInput(f"{folder} lacks {len(missing)} of {len(expected)} tensors, first {missing[0]}", hint=HINT)
    return len(found)


def verify_trained(candidate: Path, base: Any, *, exact: bool) -> int:
    """Compare the candidate with the base, an fp32 model; the number of tensors that are as they were.

    An adapter's matrices must not be zero, all else must differ from the base. Without `exact` (weights rounded to
    bf16, where a small change of a large value is rounded away) not all tensors may be equal.

    Raises:
        BadInput: tensors were not trained; the first is named.
    """
    before = dict(base.named_parameters())
    names, same = 0, []
    for name, tensor in _tensors(candidate):
        names += 1
        old = before.get(name.removeprefix(PEFT_PREFIX))
        if old is not None and old.shape != tensor.shape:
            raise BadInput(f"{name} in {candidate} has shape {tuple(tensor.shape)}, not {tuple(old.shape)}", hint=HINT)
        if bool((tensor == 0).all()) if old is None else bool((tensor == old.to(tensor.dtype)).all()):
            same.append(name)
    if len(same) == names or (same and (exact or (candidate / ADAPTER).exists())):
        raise BadInput(
            f"{len(same)} of {names} tensors in {candidate} are as before training, first {(same or ['none'])[0]}",
            hint="check that training.learningRate and the number of steps are not too small; nothing is delivered",
        )
    return len(same)


def _name_rope_for_all(path: Path) -> None:
    """Write the rotary settings under their older names too.

    transformers before 5 and other programs know no `rope_parameters` and would take 10,000 for a missing rope_theta
    without a word; transformers 5 reads both.
    """
    config = json.loads(path.read_text("utf-8"))
    rope = dict(config.get("rope_parameters") or {})
    if "rope_theta" in rope:
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = None if rope.get("rope_type") == "default" else rope
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _expected(folder: Path) -> dict[str, tuple[int, ...]]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def _tensors(folder: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file.get_tensor(name)
