"""sign, per slice: mapped rows → one line per target exchange with all that finding duplicates needs but the text.

Leaves `signed`: row, turn, id, rating, size, words, exact (hash of the normal text), group (hash), use (of the source),
b0 … b15 (bands of the exchange) and r0 … r15 (of its response): 0 where it is too short to be compared.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import polars_hash as plh

from trainwright.prepare.duplicates.boilerplate import table_of
from trainwright.prepare.duplicates.exchanges import exchanges_of, words_in
from trainwright.prepare.duplicates.likeness import LEAST_WORDS
from trainwright.prepare.duplicates.signatures import BANDS, sign
from trainwright.prepare.splitting.groups import group_hashes
from trainwright.prepare.work import SliceTask

PAIR_BANDS = [f"b{band}" for band in range(BANDS)]
RESPONSE_BANDS = [f"r{band}" for band in range(BANDS)]
ORDER = ["rating", "size", "id", "turn"]


def sign_slice(task: SliceTask) -> int:
    """Sign one slice; returns the number of its exchanges."""
    work, piece = task.work, task.slice
    rows = piece.load(work.folder, "mapped")
    exchanges = exchanges_of(rows)
    of_row = rows.select("id", "rating", use=use_of(work.uses)).with_columns(group=group_hashes(rows, work.seed))
    response_words = words_in(exchanges["response"])
    words = words_in(exchanges["prompt"]) + response_words
    signed = pl.concat(
        [
            exchanges.select("row", "turn", "size", words=words, exact=exact_hashes(exchanges)),
            of_row[exchanges["row"]],
            banded(exchanges, words, response_words, table_of(work.boilerplate)),
        ],
        how="horizontal",
    )
    piece.save(work.folder, "signed", signed)
    return signed.height


def use_of(uses: dict[str, str | None]) -> pl.Expr:
    """`use` of the row's source; null lets data.split decide."""
    return pl.col("source").replace_strict(uses, default=None, return_dtype=pl.String)


def exact_hashes(exchanges: pl.DataFrame) -> pl.Series:
    """128 bits that are equal for exchanges with equal normal texts."""
    joined = exchanges.select(text=pl.concat_str("prompt", "response", separator="\x1f"))
    return joined.select(plh.col("text").nchash.xxh3_128())["text"]


def banded(
    exchanges: pl.DataFrame, words: pl.Series, response_words: pl.Series, table: np.ndarray, *, seed: int = 0
) -> pl.DataFrame:
    """The bands of exchanges long enough to be compared, and of responses that are by themselves."""
    places = (words >= LEAST_WORDS).arg_true()
    long = (response_words.gather(places) >= LEAST_WORDS).to_numpy()
    signatures = sign(exchanges[places], table, seed=seed)
    columns = {}
    for names, bands_NT, wanted in (
        (PAIR_BANDS, signatures.pair_NT, np.ones(len(places), dtype=bool)),
        (RESPONSE_BANDS, signatures.response_NT, long),
    ):
        for name, band_T in zip(names, bands_NT, strict=True):
            column = np.zeros(exchanges.height, np.uint64)
            column[places.to_numpy()] = np.where(wanted, band_T, 0)
            columns[name] = column
    return pl.DataFrame(columns)
