"""Writes the tokenizer folder that is used from here on: the model's own or a learnt one, with the run's template."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from trainwright.chat_template import ChatTemplate, Choice, choose_template, special_tokens
from trainwright.chat_template.texts import MARKERS
from trainwright.contract import RunConfig
from trainwright.errors import BadInput
from trainwright.tokenize.learning import END_OF_TEXT, learn_tokenizer

CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What tokenize knows of the model: its config.json, and whether its weights are still to be drawn."""

    config: dict[str, Any]
    scratch: bool

    @property
    def is_llama(self) -> bool:
        """Whether its shape is Llama's."""
        return self.config.get("model_type") == "llama"


def write_tokenizer(
    config: RunConfig, model: Model, own: Path | None, rows: Path, output: Path, *, tools: bool
) -> tuple[ChatTemplate, Choice]:
    """Write `output` (tokenizer.json, tokenizer_config.json, chat_template.jinja) and load it.

    `own` is the tokenizer folder of weights, None to learn one from `rows`.

    Raises:
        BadInput: the tokenizer cannot be read, or lacks tokens that its existing model cannot learn.
    """
    output.mkdir(parents=True, exist_ok=True)
    spec = config.spec.model
    assert spec is not None
    if own is None:
        assert spec.tokenizer is not None and spec.tokenizer.train is not None
        _write_learnt(config, spec.tokenizer.train.vocabulary_size, spec.chat_template or "chatml", rows, output)
    else:
        shutil.copytree(own, output, dirs_exist_ok=True)
    tokenizer = _read(output)
    choice = choose_template(
        _own_template(output),
        wanted=spec.chat_template or (None if own is not None else "chatml"),
        system_prompt=spec.system_prompt,
        special_tokens=special_tokens(output),
        vocabulary=tokenizer.get_vocab(with_added_tokens=True),
        control=[token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special],
        begin=_begin_token(tokenizer),
        is_llama=model.is_llama,
        tools=tools,
    )
    if choice.missing_tokens:
        _add_tokens(tokenizer, choice, model, output)
    (output / TEMPLATE).write_text(choice.text, "utf-8")
    template = ChatTemplate.load(output)
    if template.joins_texts():
        raise BadInput(
            "the tokenizer encodes a whole conversation differently from its turns, so prompts would not fit rows",
            hint="use a byte-level BPE tokenizer, such as those of Llama 3, Qwen and SmolLM",
        )
    return template, choice


def _write_learnt(config: RunConfig, vocabulary_size: int, template: str, rows: Path, output: Path) -> None:
    markers = MARKERS[template]
    special = list(dict.fromkeys((END_OF_TEXT, *markers.tokens)))
    learn_tokenizer(rows, vocabulary_size, config.spec.training.seed, special).save(str(output / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": markers.begin or None,
        "eos_token": markers.end,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }
    _write_config(output, {name: value for name, value in settings.items() if value is not None})


def _write_config(folder: Path, settings: dict[str, Any]) -> None:
    (folder / CONFIG).write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _read(folder: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        raise BadInput(f"{folder / 'tokenizer.json'} cannot be read: {error}") from error


def _own_template(folder: Path) -> str | None:
    """The chat template that came with the tokenizer: a file of its own, or a setting, which is taken out."""
    settings = json.loads((folder / CONFIG).read_text("utf-8")) if (folder / CONFIG).exists() else {}
    setting = settings.pop("chat_template", None)
    if isinstance(setting, list):
        setting = next((entry["template"] for entry in setting if entry.get("name") == "default"), None)
    if not settings:
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    _write_config(folder, settings)
    path = folder / TEMPLATE
    return path.read_text("utf-8") if path.exists() else setting


def _begin_token(tokenizer: Tokenizer) -> str:
    """The token that the tokenizer puts in front of every text by itself, or ""."""
    ids = tokenizer.encode("a", add_special_tokens=True).ids
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    added = ids[: len(ids) - len(bare)] if ids[-len(bare) :] == bare else ids[:1]
    return str(tokenizer.id_to_token(added[0])) if len(ids) > len(bare) and added and added[0] != bare[0] else ""


def _add_tokens(tokenizer: Tokenizer, choice: Choice, model: Model, folder: Path) -> None:
    """Give a tokenizer the special tokens of the template; a model from scratch learns them, an existing one cannot."""
    if not model.scratch:
        raise BadInput(
            f"the tokenizer has no {', '.join(choice.missing_tokens)}, which the chat template {choice.name} needs",
            hint="set model.chatTemplate to the other of llama3 and chatml, or start from a model made for chat",
        )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in choice.missing_tokens])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / CONFIG).read_text("utf-8"))
    settings["eos_token"] = MARKERS[choice.name].end
    settings.setdefault("pad_token", MARKERS[choice.name].end)
    _write_config(folder, settings)
