"""The static table's making: one vector per WordPiece token of MiniLM, weighted, fitted to chat turns, reduced to int8.

In: the MiniLM archive and chat turns. Out: int8 rows (V, 256) with a scale each: a text's vector is the sum of its
tokens' rows, made a unit. Steps: each token through the model alone; centred; SIF weights a / (a + p) with a = 1e-4
(Arora et al. 2017, "A simple but tough-to-beat baseline for sentence embeddings"); a ridge fit, lambda 1, that moves
the rows so that sums come near MiniLM's vectors of whole turns; the 256 widest principal axes. Every batch is the
same whatever the number of processes, so the table is too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainwright.index.minilm import LONGEST, Floats, MiniLM
from trainwright.progress import Progress
from trainwright.workers import Workers

WIDTH = 256
SIF = 1e-4
RIDGE = 1.0
FITTED_TURNS = 8_000
TOKENS_PER_BATCH, TEXTS_PER_BATCH = 512, 16

Work = tuple[int, int] | list[str]
"""A range of token numbers, or texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows as int8 and what to multiply each row with."""

    rows: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float16]


def distil(archive: Path, counted: list[str], fitted: list[str], *, processes: int) -> Table:
    """Make the table.

    `counted` are texts that token frequencies are taken from (empty: Zipf by token number), `fitted` those the rows are
    fitted to (empty: no fit).
    """
    model = MiniLM(archive)
    vocabulary = model.tokenizer.get_vocab_size()
    weights = _sif(_frequencies(model, counted))
    ranges: list[Work] = [(n, min(n + TOKENS_PER_BATCH, vocabulary)) for n in range(0, vocabulary, TOKENS_PER_BATCH)]
    ordered = sorted(fitted, key=lambda text: (len(text), text))
    batches: list[Work] = [ordered[n : n + TEXTS_PER_BATCH] for n in range(0, len(ordered), TEXTS_PER_BATCH)]
    vectors = list(_through_model(archive, ranges + batches, processes))
    rows = _centred(np.concatenate(vectors[: len(ranges)]))
    if ordered:
        rows = _fit(rows, _bags(model, ordered, weights), np.concatenate(vectors[len(ranges) :]))
    return _quantised(_reduced(rows) * weights[:, None])


def _frequencies(model: MiniLM, texts: list[str]) -> npt.NDArray[np.float64]:
    """Share of each token, add-one smoothed."""
    vocabulary = model.tokenizer.get_vocab_size()
    if not texts:
        counts = 1.0 / np.arange(1, vocabulary + 1)
    else:
        counts = np.ones(vocabulary)
        for n in range(0, len(texts), 10_000):
            encoded = model.tokenizer.encode_batch(texts[n : n + 10_000], add_special_tokens=False)
            ids = np.fromiter((token for encoding in encoded for token in encoding.ids), dtype=np.int64)
            counts += np.bincount(ids, minlength=vocabulary)
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


def _sif(frequencies: npt.NDArray[np.float64]) -> Floats:
    weights: Floats = (SIF / (SIF + frequencies)).astype(np.float32)
    return weights


def _through_model(archive: Path, work: list[Work], processes: int) -> Iterator[Floats]:
    """Vectors of each piece of work, in order."""
    progress = Progress("index", len(work), "batches of the table")
    with Workers(processes) as workers:
        for done, vectors in enumerate(workers.map(_vectors, [(archive, piece) for piece in work]), start=1):
            progress.update(done)
            yield vectors


def _vectors(task: tuple[Path, Work]) -> Floats:
    archive, work = task
    model = _model(archive)
    return model.tokens(*work) if isinstance(work, tuple) else model.texts(work)


@cache
def _model(archive: Path) -> MiniLM:
    """The model of this process, loaded once."""
    return MiniLM(archive)


def _centred(rows: Floats) -> Floats:
    """Rows less their mean, of mean length one."""
    centred = rows - rows.mean(0)
    scaled: Floats = (centred / np.linalg.norm(centred, axis=1).mean()).astype(np.float32)
    return scaled


def _bags(model: MiniLM, texts: list[str], weights: Floats) -> Any:
    """Sparse (texts, V): the weights of each text's tokens, of length one."""
    from scipy import sparse

    encoded = model.tokenizer.encode_batch(texts, add_special_tokens=False)
    ids = [np.asarray(encoding.ids[:LONGEST], dtype=np.int64) for encoding in encoded]
    values = [weights[tokens] / (np.linalg.norm(weights[tokens]) or 1.0) for tokens in ids]
    ends = np.cumsum([0] + [len(tokens) for tokens in ids])
    data = np.concatenate(values).astype(np.float64)
    return sparse.csr_matrix((data, np.concatenate(ids), ends), shape=(len(texts), len(weights)))


def _fit(rows: Floats, bags: Any, targets: Floats) -> Floats:
    """Ridge regression from bags to targets with `rows`, scaled, as its prior: the dual form, one equation per text."""
    from scipy.linalg import cho_factor, cho_solve

    wanted = (targets - targets.mean(0)).astype(np.float64)
    sums = bags @ rows.astype(np.float64)
    prior = rows * ((sums * wanted).sum() / (sums**2).sum())
    kernel = (bags @ bags.T).toarray()
    kernel[np.diag_indices_from(kernel)] += RIDGE
    factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
    fitted: Floats = (prior + bags.T @ cho_solve(factor, wanted - bags @ prior)).astype(np.float32)
    return fitted


def _reduced(rows: Floats) -> Floats:
    """Coordinates on the widest principal axes, each axis pointing where its largest entry is positive."""
    _, axes = np.linalg.eigh(np.cov(rows.T.astype(np.float64)))
    axes = axes[:, ::-1][:, :WIDTH]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(WIDTH)])
    reduced: Floats = (rows @ axes).astype(np.float32)
    return reduced


def _quantised(rows: Floats) -> Table:
    scales = np.maximum(np.abs(rows).max(1, keepdims=True) / 127, 1e-7).astype(np.float16)
    codes = np.round(rows / scales.astype(np.float32)).clip(-127, 127).astype(np.int8)
    return Table(rows=codes, scales=scales[:, 0])
