"""What is found out over all slices at once: the boilerplate, and which exchanges a better one makes superfluous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from trainwright.prepare.duplicates.boilerplate import boilerplate_of, count_slice, sample_rates
from trainwright.prepare.duplicates.pairing import BandTask, equal_exchanges, near_candidates, ranks_of, repeated_values
from trainwright.prepare.duplicates.ranking import losers
from trainwright.prepare.duplicates.signing import PAIR_BANDS
from trainwright.prepare.duplicates.verifying import CHUNK_PAIRS, TextTask, VerifyTask, alike_pairs, save_texts
from trainwright.prepare.slices import Slice
from trainwright.prepare.work import SliceTask, Work
from trainwright.workers import Workers

LOSERS = {"row": pl.UInt32, "turn": pl.UInt32, "reason": pl.String}


def find_boilerplate(work: Work, slices: Sequence[Slice], workers: Workers, exchanges: Mapping[str, int]) -> None:
    """Leave the grams that take no part, from a sample of the exchanges of each source."""
    sampled = replace(work, rates=sample_rates(exchanges))
    for _ in workers.map(count_slice, [SliceTask(work=sampled, slice=piece) for piece in slices]):
        pass
    counts = pl.concat([pl.scan_ipc(piece.path(work.folder, "grams")) for piece in slices])
    np.save(work.boilerplate, boilerplate_of(counts))


def find_duplicates(work: Work, slices: Sequence[Slice], workers: Workers) -> None:
    """Leave `losers` (row, turn, reason: exact or near) for each slice."""
    settings = work.prepare.deduplicate
    columns = (["exact"] + (PAIR_BANDS if settings.near else [])) if settings.enabled else []
    tasks = [BandTask(folder=work.folder, slices=slices, column=column) for column in columns]
    repeated = list(workers.map(repeated_values, tasks))
    gone = _gone(work, slices, workers, repeated) if repeated else pl.DataFrame(schema=LOSERS | {"slice": pl.UInt32})
    for number, piece in enumerate(slices):
        mine = gone.filter(pl.col("slice") == number).select(LOSERS.keys()).sort("row", "turn")
        piece.save(work.folder, "losers", mine)


def _gone(work: Work, slices: Sequence[Slice], workers: Workers, repeated: list[pl.DataFrame]) -> pl.DataFrame:
    equal, *near = repeated
    banded = pl.concat([found.with_columns(band=pl.lit(band)) for band, found in enumerate(near)]) if near else None
    ranks = ranks_of(work.folder, slices, pl.concat([found["exchange"] for found in repeated]))
    pairs = [equal_exchanges(equal, ranks).with_columns(reason=pl.lit("exact"))]
    if banded is not None:
        candidates = near_candidates(banded, ranks, work.prepare.deduplicate.near)
        alike = _verified(work, slices, workers, ranks, candidates)
        pairs.append(alike.with_columns(reason=pl.lit("near")))
    edges = pl.concat(pairs)
    goes = losers(edges["better"].to_numpy(), edges["worse"].to_numpy(), ranks.height)
    reasons = edges.unique("worse", keep="first", maintain_order=True).select(rank="worse", reason="reason")
    return ranks.filter(pl.Series(goes)).join(reasons, on="rank", how="left", maintain_order="left")


def _verified(
    work: Work, slices: Sequence[Slice], workers: Workers, ranks: pl.DataFrame, candidates: pl.DataFrame
) -> pl.DataFrame:
    if not candidates.height:
        return candidates
    numbers = pl.concat([candidates["better"], candidates["worse"]]).unique()
    wanted = ranks.filter(pl.col("rank").is_in(numbers.implode())).select("slice", "row", "turn", number="rank")
    by_slice = {int(number): frame for (number,), frame in wanted.partition_by("slice", as_dict=True).items()}
    holding = [slices[number] for number in sorted(by_slice)]
    tasks = [TextTask(work=work, slice=slices[number], wanted=by_slice[number]) for number in sorted(by_slice)]
    for _ in workers.map(save_texts, tasks):
        pass
    chunks = [candidates[start : start + CHUNK_PAIRS] for start in range(0, candidates.height, CHUNK_PAIRS)]
    return pl.concat(workers.map(alike_pairs, [VerifyTask(work=work, slices=holding, pairs=chunk) for chunk in chunks]))
