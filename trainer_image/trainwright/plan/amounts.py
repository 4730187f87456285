"""How many exchanges and tokens a run has: counted by a finished stage, else estimated, else said to be unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainwright.api import Spec
from trainwright.plan import rates
from trainwright.plan.values import NEEDS_EXCHANGES, Facts, Figure, SourceFacts, unknown

LARGEST_SPLIT = 10_000
DEFAULT_SEQUENCE_LENGTH = 2048
PACK_FILL = 0.99
"""Share of a pack that holds tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Exchanges and tokens of a run."""

    exchanges: Figure
    train_exchanges: Figure
    """Of one epoch: each counted as often as its source's weight repeats it."""
    tokens: Figure
    """Of one epoch."""
    sequence_length: Figure
    packs: Figure
    """Of one epoch."""


def amounts(spec: Spec, facts: Facts) -> Amounts:
    """Count or estimate what goes through the run."""
    exchanges = _exchanges(facts.sources)
    train = _train_exchanges(spec, facts)
    tokens = _tokens(facts, train)
    length = _sequence_length(spec, facts)
    return Amounts(
        exchanges=exchanges,
        train_exchanges=train,
        tokens=tokens,
        sequence_length=length,
        packs=_packs(facts, tokens, length, packing=spec.training.packing, train=train),
    )


def _exchanges(sources: tuple[SourceFacts, ...]) -> Figure:
    """All exchanges that ingest reads."""
    known = [source_exchanges(source) for source in sources]
    missing = [figure.basis for figure in known if figure.value is None]
    if missing or not known:
        return Figure(value=None, basis=missing[0] if missing else "not known yet: no sources")
    return Figure(value=sum(figure.value or 0 for figure in known), basis=_joined([figure.basis for figure in known]))


def source_exchanges(source: SourceFacts) -> Figure:
    """Exchanges of one source: counted by ingest, else at most its limit, else from the size of plain text."""
    if source.exchanges is not None:
        return Figure(value=source.exchanges, basis="exact: counted by ingest")
    if source.text_bytes is not None:
        by_size = max(1, source.text_bytes // rates.BYTES_PER_EXCHANGE)
        if source.limit is None or by_size <= source.limit:
            return Figure(value=by_size, basis=f"estimated: {rates.BYTES_BASIS}")
    if source.limit is not None:
        return Figure(value=source.limit, basis="at most: maxRows or --sample; fewer if the source has fewer")
    return unknown(source.missing or f"ingest has not read {source.name}, and it has no maxRows")


def _train_exchanges(spec: Spec, facts: Facts) -> Figure:
    """Exchanges of an epoch after the split, with repeats; filters are not foreseen."""
    if facts.train_exchanges is not None and all(source.weight == 1 for source in facts.sources):
        return Figure(value=facts.train_exchanges, basis="exact: counted by prepare")
    total, bases, split = 0.0, [], 0.0
    for source in facts.sources:
        if source.use in ("Validation", "Test"):
            continue
        figure = source_exchanges(source)
        if figure.value is None:
            return NEEDS_EXCHANGES
        held_out = 0.0 if source.use == "Train" else _held_out(spec, figure.value)
        split += held_out
        total += (figure.value - held_out) * source.weight
        bases.append(figure.basis)
    basis = _joined(bases) + ("; before filters and duplicates" if bases else "")
    return Figure(value=total, basis=basis) if bases else unknown("no source is for training")


def _held_out(spec: Spec, exchanges: float) -> float:
    """Exchanges of a source that the split keeps from training."""
    shares = (spec.data.split.validation, spec.data.split.test)
    return sum(min(share * exchanges, LARGEST_SPLIT) for share in shares)


def _tokens(facts: Facts, train: Figure) -> Figure:
    if facts.tokens is not None:
        return Figure(value=facts.tokens, basis="exact: counted by tokenize")
    if train.value is None:
        return train
    return Figure(value=train.value * rates.TOKENS_PER_EXCHANGE, basis=f"estimated: {rates.TOKENS_BASIS}")


def _sequence_length(spec: Spec, facts: Facts) -> Figure:
    """`training.sequenceLength`, else 2,048 or the model's limit if that is smaller."""
    if facts.sequence_length is not None:
        return Figure(value=facts.sequence_length, basis="exact: as tokenize made them")
    if spec.training.sequence_length is not None:
        return Figure(value=spec.training.sequence_length, basis="exact: training.sequenceLength")
    limit = facts.shape.max_positions if facts.shape else DEFAULT_SEQUENCE_LENGTH
    return Figure(value=min(DEFAULT_SEQUENCE_LENGTH, limit), basis="default: 2,048 or the model's limit")


def _packs(facts: Facts, tokens: Figure, length: Figure, *, packing: bool, train: Figure) -> Figure:
    if facts.packs is not None:
        return Figure(value=facts.packs, basis="exact: counted by tokenize")
    if tokens.value is None or length.value is None:
        return tokens
    if not packing:
        return train
    return Figure(value=math.ceil(tokens.value / (length.value * PACK_FILL)), basis=tokens.basis)


def _joined(bases: list[str]) -> str:
    return "; ".join(dict.fromkeys(bases))
