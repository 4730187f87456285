"""README.md of the deliverable: what it is, how to use it, how good it is, how it was made and from what.

No clock, no machine and no name of the run stand in it: equal stages give equal cards, and a card is reused with its
weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from trainwright import __version__
from trainwright.artifacts import Inputs
from trainwright.contract import RunConfig
from trainwright.export.data_card import licences, settings, table

FIGURES = ("loss", "perplexity", "bleu", "rouge1", "rouge2", "rougeL", "probes")
LANGUAGE_SHARE = 0.01
"""Rarer ones are more often mistakes of the detector than languages the model speaks."""
PACKAGES = ("torch", "transformers", "deepspeed", "peft", "tokenizers")
USE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoModelForCausalLM.from_pretrained("PATH")
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": "Hello!"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
)
answer = model.generate(**prompt, max_new_tokens=64)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
```"""


def model_card(config: RunConfig, inputs: Inputs, parameters: int) -> str:
    """The text of README.md."""
    evaluate, train = inputs["evaluate"].metrics, inputs["train"].metrics
    sections = [
        _front_matter(config, inputs),
        f"# {_title(config)}",
        _origin(config, inputs, parameters),
        "## Use",
        USE,
        "The chat template is the one it was trained with; " + _system_prompt(config),
        "## Figures",
        table(("", *FIGURES), _figures(evaluate)),
        "Loss in nats per target token; BLEU, ROUGE and probes from 0 to 1. Candidates were compared on validation "
        "rows; the winner alone met the test rows, once.",
        *(f"- {name}: `{signature}`" for name, signature in (evaluate.get("signatures") or {}).items()),
        (evaluate.get("overfitting") or {}).get("message", ""),
        "## Training",
        table(
            ("", ""), [(name, train[name]) for name in ("steps", "epochs", "ended", "learningRate") if name in train]
        ),
        settings(config.spec.training.model_dump(mode="json", by_alias=True)),
        "## Data",
        f"{inputs['prepare'].counts.get('train', 0):,} exchanges to train on; sources, licences and every step "
        "of the preparation with its counts are in DATA.md.",
        "## Limits",
        "The figures hold for rows like those in DATA.md. Nothing here measures safety, factual truth or fairness "
        "beyond the audit there; test it on your own questions before you rely on it.",
        "## Lineage",
        table(("stage", "key"), [(name, f"`{artifact.key}`") for name, artifact in inputs.items()]),
        "Made by Trainwright " + __version__ + _versions() + ". SHA-256 of every file: manifest.json.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(config: RunConfig, inputs: Inputs) -> str:
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [trainwright, conversational]",
    ]
    named = licences(config)
    if len(named) == 1 and all(source.license for source in config.spec.data.sources):
        lines.append(f"license: {named[0].lower()}")
    if languages := _languages(inputs["prepare"].metrics.get("languages") or {}):
        lines.append(f"language: {json.dumps(languages)}")
    return "\n".join([*lines, "---"])


def _origin(config: RunConfig, inputs: Inputs, parameters: int) -> str:
    model, weights = config.spec.model, inputs["weights"].metrics
    how = "LoRA, merged" if config.spec.training.lora else "all weights"
    if weights["scratch"]:
        return f"A {weights['architecture']} of {parameters:,} parameters, trained from random weights."
    base = model.from_ if model else ""
    revision = f" at revision {weights['revision']}" if weights.get("revision") else ""
    return f"A {weights['architecture']} of {parameters:,} parameters, fine-tuned ({how}) from `{base}`{revision}."


def _languages(counts: Mapping[str, int]) -> list[str]:
    """The languages of at least LANGUAGE_SHARE of the rows, by their ISO 639-1 codes."""
    least = LANGUAGE_SHARE * sum(counts.values())
    return sorted(name for name, count in counts.items() if len(name) == 2 and count >= least)


def _title(config: RunConfig) -> str:
    model = config.spec.model
    if model is None or model.from_ is None:
        preset = model.scratch.preset if model and model.scratch else None
        return f"{preset or 'A model'}, trained from scratch"
    return f"{model.from_.partition('@')[0].rstrip('/').rsplit('/', 1)[-1]}, fine-tuned"


def _system_prompt(config: RunConfig) -> str:
    if config.spec.model is None or config.spec.model.system_prompt is None:
        return "it inserts no system prompt of its own."
    return "conversations without a system turn get the system prompt it was trained with."


def _figures(evaluate: Mapping[str, Any]) -> list[Sequence[Any]]:
    result = evaluate["result"]
    rows = [("before, validation rows", evaluate.get("before")), ("this model, validation rows", evaluate["best"])]
    rows += [(f"this model, {result['split']} rows", result)] if result["split"] == "test" else []
    return [(name, *(values.get(figure) for figure in FIGURES)) for name, values in rows if values]


def _versions() -> str:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f" with {', '.join(found)}" if found else ""
