"""Links: training exchanges that match an exchange of validation or test, so that the one would give away the other.

exact    equal normal texts; of LEAST_WORDS words or more the training side loses its loss, shorter ones ("hello → hi")
         are not scored on the evaluation side: erasing them from training would cost every greeting
near     alike (duplicates/likeness.py)
response the same response of LEAST_WORDS words or more to another prompt; one that more than COMMON training exchanges
         hold is a phrase of the data and gives nothing away
group    of the same group, where sources with `use` split one
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import polars as pl

from trainwright.prepare.batch import Mask
from trainwright.prepare.duplicates.likeness import LEAST_WORDS, RESPONSE_NEAR, alike, alike_responses
from trainwright.prepare.duplicates.sieving import sieved
from trainwright.prepare.duplicates.signing import PAIR, RESPONSE

KINDS = ("group", "exact", "near", "response")
COMMON = 10
MOST_IN_BAND = 64
MOST_COMPARED = 16
"""Where thousands of exchanges share a form, work grows with their number and not with its square."""
PLACES_AT_ONCE = 4_096
SIEVE_BITS = 22
"""A table by the upper bits of band values lets 2 % of the training exchanges through to the join."""
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


def phrases_of(matches: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    """The evaluation exchanges (id, turn) whose response so many training exchanges have that it is a phrase."""
    held = matches.filter(pl.col("kind") == "response").group_by("evaluation").len("held")
    return evaluation[held.filter(pl.col("held") > COMMON)["evaluation"].sort()].select("id", "turn")


def cuts_of(matches: pl.DataFrame, evaluation: pl.DataFrame, phrases: pl.DataFrame) -> pl.DataFrame:
    """The training exchanges that lose their loss: id, turn, reason (the first kind that holds)."""
    facts = evaluation.select("words", evaluation=pl.int_range(pl.len(), dtype=pl.UInt32)).with_columns(
        is_phrase=_is_among(evaluation, phrases)
    )
    cut = matches.join(facts, on="evaluation").filter(
        pl.col("kind").is_in(["group", "near"])
        | (pl.col("kind") == "exact") & (pl.col("words") >= LEAST_WORDS)
        | (pl.col("kind") == "response") & ~pl.col("is_phrase")
    )
    order = pl.Enum(KINDS)
    return (
        cut.sort(pl.col("kind").cast(order))
        .unique(["id", "turn"], keep="first", maintain_order=True)
        .select("id", "turn", reason="kind")
    )


def unscored_of(matches: pl.DataFrame, evaluation: pl.DataFrame) -> pl.DataFrame:
    """The evaluation exchanges (id, turn) that are short and stand in training too."""
    equal = matches.filter(pl.col("kind") == "exact")["evaluation"].unique().sort()
    return evaluation[equal].filter(pl.col("words") < LEAST_WORDS).select("id", "turn")


def _is_among(evaluation: pl.DataFrame, some: pl.DataFrame) -> pl.Series:
    known = some.unique().with_columns(found=pl.lit(True))
    keys = evaluation.select("id", "turn").join(known, on=["id", "turn"], how="left", maintain_order="left")
    return keys["found"].fill_null(False)


def _near(
    training: pl.DataFrame,
    evaluation: pl.DataFrame,
    texts_of: TextsOf,
    evaluation_texts: pl.DataFrame,
    near: float,
    table: Mask,
) -> pl.DataFrame:
    pairs = _candidates(training, evaluation, PAIR, near)
    responses = _candidates(training, evaluation, RESPONSE, RESPONSE_NEAR)
    places = pl.concat([pairs["place"], responses["place"]]).unique().sort()
    asked = pl.concat([pairs["evaluation"], responses["evaluation"]]).unique().sort()
    texts = pl.concat([evaluation_texts[asked].select("prompt", "response"), texts_of(training[places])])
    found = []
    for kind, candidates in (("near", pairs), ("response", responses)):
        left = np.searchsorted(asked.to_numpy(), candidates["evaluation"].to_numpy())
        right = np.searchsorted(places.to_numpy(), candidates["place"].to_numpy()) + len(asked)
        holds = alike(texts, left, right, near, table) if kind == "near" else alike_responses(texts, left, right, table)
        found.append(candidates.filter(pl.Series(holds, dtype=pl.Boolean)).with_columns(kind=pl.lit(kind)))
    return pl.concat(found).select("place", "evaluation", "kind")


def _candidates(training: pl.DataFrame, evaluation: pl.DataFrame, kind: str, similarity: float) -> pl.DataFrame:
    """Pairs of different exchanges that share a band and are worth a comparison, each once.

    Of one training exchange they are the MOST_COMPARED that share most minima, of one band value the first MOST_IN_BAND
    evaluation exchanges by id. Values of different bands are never equal, so all bands are joined at once.
    """
    bands = [column for column in training.columns if re.fullmatch(rf"{kind}\d+", column)]
    order = (
        evaluation.select("id", "turn", "evaluation").sort("id", "turn").select("evaluation").with_row_index("order")
    )
    known = _values(evaluation, bands, "evaluation").filter(pl.col("value") != 0).join(order, on="evaluation")
    known = known.sort("order").filter(pl.int_range(pl.len()).over("value") < MOST_IN_BAND)
    sieve = np.zeros(1 << SIEVE_BITS, dtype=bool)
    sieve[known["value"].to_numpy() >> np.uint64(64 - SIEVE_BITS)] = True
    asked = _values(training, bands, "place")
    asked = asked.filter(pl.Series(sieve[asked["value"].to_numpy() >> np.uint64(64 - SIEVE_BITS)]))
    found = [pl.DataFrame(schema={"place": pl.UInt32, "evaluation": pl.UInt32})]
    for _, some in asked.group_by(pl.col("place") // PLACES_AT_ONCE):
        pairs = some.join(known, on="value").select("place", "evaluation", "order").unique()
        equal = training["exact"].gather(pairs["place"]) == evaluation["exact"].gather(pairs["evaluation"])
        worth = sieved(pairs.filter(~equal), training, evaluation, kind, similarity)
        ranked = worth.sort("place", "shared", "order", descending=[False, True, False])
        found.append(ranked.group_by("place", maintain_order=True).head(MOST_COMPARED).select("place", "evaluation"))
    return pl.concat(found)


def _values(signed: pl.DataFrame, bands: list[str], number: str) -> pl.DataFrame:
    """The values of all bands in one column, beside the number of their exchange."""
    values = np.concatenate([signed[band].to_numpy() for band in bands])
    return pl.DataFrame({number: np.tile(signed[number].to_numpy(), len(bands)), "value": values})
