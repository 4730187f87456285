"""What the stage says of its work: steps.json, counts and metrics; and when it says that nothing is left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from trainwright.artifacts import write_json
from trainwright.contract import Report, RunConfig, source_names
from trainwright.errors import BadInput, DataAudit
from trainwright.prepare.summary import Summary, digest_of, histogram, top_values
from trainwright.prepare.tally import Tally

SPLITS = ("train", "validation", "test")
MOST_NEAR_SHARE = 0.5
"""Of the exchanges of a source; if near duplicates take more, they are more likely one false cluster than copies."""
LEAST_EXCHANGES = 100
"""Of a source, to say so."""
log = logging.getLogger(__name__)


def report_of(config: RunConfig, output: Path, tallies: Sequence[Tally], summary: Summary, late: int) -> Report:
    """Write steps.json and sum up.

    Raises:
        BadInput: no exchange is left, or none for training though there is training to do.
        DataAudit: near duplicates took most of a source, and audit.onViolation is Fail.
    """
    steps = [tally.as_json() for tally in tallies]
    write_json(output / "steps.json", steps)
    _refuse_nothing(config, tallies, summary)
    warnings = _eaten_sources(config, tallies, summary)
    targets = {split: sum(n for (_, of), n in summary.targets.items() if of == split) for split in SPLITS}
    entered, kept = tallies[0].entered, sum(summary.exchanges.values())
    counts = {
        "rowsIn": entered,
        "rowsKept": kept,
        "rowsDropped": entered - kept,
        **targets,
        "withoutLoss": kept - sum(targets.values()),
        "conversationsKept": sum(summary.conversations.values()),
    }
    metrics = {
        "steps": steps,
        "languages": dict(sorted(summary.languages.items(), key=lambda item: (-item[1], item[0]))),
        "lengths": {side: histogram(values) for side, values in summary.lengths.items()},
        "kept": {column: top_values(values) for column, values in summary.kept.items()},
        "perSource": _per_source(config, tallies, summary),
        "conversations": dict(summary.conversations),
        "linksFoundByCheck": late,
        "warnings": warnings,
        "fingerprint": digest_of(summary),
    }
    message = f"kept {kept:,} of {entered:,} exchanges: {targets['train']:,} to train on"
    return Report(message=message, counts=counts, metrics=metrics)


def _refuse_nothing(config: RunConfig, tallies: Sequence[Tally], summary: Summary) -> None:
    train = sum(count for (_, split), count in summary.targets.items() if split == "train")
    if train or (config.spec.goal == "Evaluate" and summary.exchanges):
        return
    worst = max(tallies, key=lambda tally: tally.entered - tally.left)
    if not tallies[0].entered:
        raise BadInput("ingest left no exchange to prepare", hint="see bad.jsonl of ingest for why rows were refused")
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in worst.reasons.most_common(3))
    raise BadInput(
        f"no exchange to train on is left of {tallies[0].entered:,}: "
        f"step {worst.step} took most, {worst.entered - worst.left:,} ({reasons or 'none by a filter'})",
        hint=f"loosen data.prepare.{worst.step}, or look at dropped/ in the output of prepare to see what it took",
    )


def _per_source(config: RunConfig, tallies: Sequence[Tally], summary: Summary) -> dict[str, object]:
    figures: dict[str, object] = {}
    for source in source_names(config.spec):
        dropped = {tally.step: _taken(tally, source) for tally in tallies if _taken(tally, source)}
        kept = {split: summary.exchanges[source, split] for split in SPLITS}
        entered = sum(kept.values()) + sum(dropped.values())
        figures[source] = {"in": entered, "kept": sum(kept.values()), **kept, "dropped": dropped}
    return figures


def _taken(tally: Tally, source: str) -> int:
    return sum(count for (of, _), count in tally.sources.items() if of == source)


def _eaten_sources(config: RunConfig, tallies: Sequence[Tally], summary: Summary) -> list[str]:
    """Sources of which near duplicates took so much that one false cluster is likelier than copies."""
    warnings = []
    for source in source_names(config.spec):
        near = sum(tally.sources[source, "near"] for tally in tallies)
        kept = sum(summary.exchanges[source, split] for split in SPLITS)
        if near + kept >= LEAST_EXCHANGES and near > MOST_NEAR_SHARE * (near + kept):
            share = near / (near + kept)
            warnings.append(f"{source}: near duplicates took {near:,} of {near + kept:,} exchanges ({share:.0%})")
    for warning in warnings:
        log.warning(warning)
    if warnings and config.spec.data.audit.on_violation == "Fail":
        raise DataAudit(
            "; ".join(warnings),
            hint="look at dropped/ in the output of prepare; raise data.prepare.deduplicate.near, or set it to 0",
        )
    return warnings
