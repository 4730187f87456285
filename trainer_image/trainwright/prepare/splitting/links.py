"""Links: training exchanges that match an exchange of validation or test, so that the one would give away the other.

exact    equal normal texts; of LEAST_WORDS words or more the training side loses its loss, shorter ones ("hello → hi")
         are not scored on the evaluation side: erasing them from training would cost every greeting
near     alike (duplicates/likeness.py)
response the same response of LEAST_WORDS words or more to another prompt; one that more than COMMON training exchanges
         hold is a phrase of the data and gives nothing away
group    of the same group, where sources with `use` split one
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from trainwright.prepare.batch import Mask
from trainwright.prepare.duplicates.likeness import LEAST_WORDS, alike, alike_responses
from trainwright.prepare.duplicates.signing import PAIR_BANDS, RESPONSE_BANDS

COMMON = 10
MATCHES = {"id": pl.Binary, "turn": pl.UInt32, "kind": pl.String, "evaluation": pl.UInt32}
"""A match: the training exchange (id of its row, turn), what links it, the place of the evaluation exchange."""
TextsOf = Callable[[pl.DataFrame], pl.DataFrame]


def matches_of(
    training: pl.DataFrame,
    evaluation: pl.DataFrame,
    texts_of: TextsOf,
    evaluation_texts: pl.DataFrame,
    near: float,
    table: Mask,
) -> pl.DataFrame:
    """All matches between signed exchanges (duplicates/signing.py) of training and of evaluation.

    `texts_of` gives the normal texts (prompt, response) of some of the training exchanges, in their order.
    """
    training = training.with_columns(place=pl.int_range(pl.len(), dtype=pl.UInt32))
    evaluation = evaluation.with_columns(evaluation=pl.int_range(pl.len(), dtype=pl.UInt32))
    of_group = evaluation.filter(pl.col("use").is_not_null()).unique("group")
    found = [
        training.join(of_group, on="group").select("place", "evaluation", kind=pl.lit("group")),
        training.join(evaluation, on="exact").select("place", "evaluation", kind=pl.lit("exact")),
        _near(training, evaluation, texts_of, evaluation_texts, near, table),
    ]
    keys = training.select("place", "id", "turn")
    return pl.concat(found).join(keys, on="place").select(MATCHES.keys())


def cuts_of(matches: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    """The training exchanges that lose their loss: id, turn, reason (the first kind that holds)."""
    words = evaluation.select("words", evaluation=pl.int_range(pl.len(), dtype=pl.UInt32))
    held = matches.filter(pl.col("kind") == "response").group_by("evaluation").len("held")
    judged = matches.join(words, on="evaluation").join(held, on="evaluation", how="left")
    cut = judged.filter(
        pl.col("kind").is_in(["group", "near"])
        | (pl.col("kind") == "exact") & (pl.col("words") >= LEAST_WORDS)
        | (pl.col("kind") == "response") & (pl.col("held") <= COMMON)
    )
    order = pl.Enum(["group", "exact", "near", "response"])
    return (
        cut.sort(pl.col("kind").cast(order))
        .unique(["id", "turn"], keep="first", maintain_order=True)
        .select("id", "turn", reason="kind")
    )


def unscored_of(matches: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    """The evaluation exchanges (id, turn) that are short and stand in training too."""
    equal = matches.filter(pl.col("kind") == "exact")["evaluation"].unique().sort()
    return evaluation[equal].filter(pl.col("words") < LEAST_WORDS).select("id", "turn")


def _near(
    training: pl.DataFrame,
    evaluation: pl.DataFrame,
    texts_of: TextsOf,
    evaluation_texts: pl.DataFrame,
    near: float,
    table: Mask,
) -> pl.DataFrame:
    pairs = _candidates(training, evaluation, PAIR_BANDS)
    responses = _candidates(training, evaluation, RESPONSE_BANDS)
    places = pl.concat([pairs["place"], responses["place"]]).unique().sort()
    texts = pl.concat([evaluation_texts.select("prompt", "response"), texts_of(training[places])])
    found = []
    for kind, candidates in (("near", pairs), ("response", responses)):
        left = candidates["evaluation"].to_numpy().astype(np.int64)
        right = np.searchsorted(places.to_numpy(), candidates["place"].to_numpy()) + evaluation_texts.height
        holds = alike(texts, left, right, near, table) if kind == "near" else alike_responses(texts, left, right, table)
        found.append(candidates.filter(pl.Series(holds, dtype=pl.Boolean)).with_columns(kind=pl.lit(kind)))
    return pl.concat(found).select("place", "evaluation", "kind")


def _candidates(training: pl.DataFrame, evaluation: pl.DataFrame, bands: list[str]) -> pl.DataFrame:
    """Pairs that share a band and are not equal, each once."""
    found = [
        training.lazy()
        .select("place", band, exact_of_training="exact")
        .filter(pl.col(band) != 0)
        .join(evaluation.lazy().select("evaluation", band, "exact"), on=band)
        .filter(pl.col("exact") != pl.col("exact_of_training"))
        .select("place", "evaluation")
        for band in bands
    ]
    return pl.concat(found).unique().sort("place", "evaluation").collect()
