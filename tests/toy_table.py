"""A small static table over a few words, in the place where the product's own would lie: nothing is built for tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from trainwright.index.address import table_address

GREETINGS = ("hello", "hi", "how", "are", "you", "fine", "thanks")
FACTS = ("cat", "dog", "likes", "milk", "bone", "capital", "of", "japan", "is", "tokyo", "bern", "switzerland")
WORDS = GREETINGS + FACTS
WIDTH = 16


def write_toy_table(cache: Path) -> Path:
    """Write the table into a cache folder and return its own; every word has an axis-like vector of its own."""
    folder = cache / "embedding" / f"static-{table_address()}"
    folder.mkdir(parents=True)
    words = ["[UNK]", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    rows = np.random.default_rng(0).integers(-127, 128, (len(words), WIDTH), dtype=np.int8)
    rows[0] = 0
    files = {
        "table.safetensors": save({"rows": rows, "scales": np.full(len(words), 0.01, dtype=np.float16)}),
        "tokenizer.json": tokenizer.to_str().encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "about.json").write_text(json.dumps({"sha256": digests}), "utf-8")
    return folder
