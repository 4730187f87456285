"""Folders of one's own as the embedding: what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from trainwright.errors import BadInput
from trainwright.index.transformer import TransformerEmbedding


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(BadInput, match="has no model") as told:
        TransformerEmbedding(tmp_path, name="./own")
    assert "pickled weights are not loaded" in told.value.hint
