"""A sentence-transformers folder as the embedding: the model's hidden states, pooled, in batches of similar length.

In: a folder with config.json, tokenizer.json and model.safetensors; 1_Pooling/config.json chooses mean (the default) or
the first token. Out: unit vectors. Pickled weights and remote code are refused. On a CPU expect 100 texts a second.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trainwright.errors import BadInput

Floats = npt.NDArray[np.float32]

TOKENS_PER_BATCH = 4_096
LONGEST = 512


class TransformerEmbedding:
    """The model, loaded."""

    rows_at_once = 4_096

    def __init__(self, folder: Path, *, name: str) -> None:
        """Load the folder.

        Raises:
            BadInput: it is no such folder, or its weights are not safetensors.
        """
        weights = folder / "model.safetensors"
        if not weights.is_file() or not (folder / "config.json").is_file():
            raise BadInput(
                f"vectorStore.embedding: {name} has no model.safetensors and config.json",
                hint="give a sentence-transformers folder with safetensors weights; pickled weights are not loaded",
            )
        import torch
        from transformers import AutoModel, AutoTokenizer

        self.name = name
        self.digest = _digest(folder)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
        self.model.to(self.device).eval()
        self.width = int(self.model.config.hidden_size)
        self.longest = _longest(folder, self.model.config)
        pooling = _json(folder / "1_Pooling" / "config.json")
        self.first_token = bool(pooling.get("pooling_mode_cls_token", False))

    def encode(self, texts: pl.Series) -> Floats:
        """Unit vectors, one per text."""
        encoded = self.tokenizer(texts.to_list(), truncation=True, max_length=self.longest)["input_ids"]
        order = sorted(range(len(encoded)), key=lambda n: len(encoded[n]))
        vectors = np.zeros((len(encoded), self.width), dtype=np.float32)
        first = 0
        while first < len(order):
            end = first + 1
            while end < len(order) and (end + 1 - first) * len(encoded[order[end]]) <= TOKENS_PER_BATCH:
                end += 1
            batch = order[first:end]
            vectors[batch] = self._batch([encoded[n] for n in batch])
            first = end
        return vectors

    def _batch(self, ids: list[list[int]]) -> Floats:
        import torch

        padded = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            states = self.model(**padded).last_hidden_state
            if self.first_token:
                pooled = states[:, 0]
            else:
                mask = padded["attention_mask"][..., None].float()
                pooled = (states * mask).sum(1) / mask.sum(1)
            units: Floats = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return units


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _longest(folder: Path, config: Any) -> int:
    """Tokens a text is cut at: sentence-transformers' own limit, else the model's, 512 at most."""
    stated = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    return int(min(stated or LONGEST, getattr(config, "max_position_embeddings", LONGEST), LONGEST))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
