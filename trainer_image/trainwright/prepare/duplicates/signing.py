"""sign, per slice: mapped rows → one line per target exchange with all that finding duplicates needs but the text.

Leaves `signed`: row, turn, id, rating, size, words, exact (hash of the normal text), group (hash), use (of the source),
b0 … b15 (bands of the exchange), r0 … r15 (of its response; 0 where it is too short to be compared), pairBytes and
responseBytes (signatures.py), pairNumbers and responseNumbers (numbers.py).
"""

from __future__ import annotations

import numpy as np
import polars as pl
import polars_hash as plh

from trainwright.prepare.batch import Mask
from trainwright.prepare.duplicates.boilerplate import table_of
from trainwright.prepare.duplicates.exchanges import exchanges_of, words_in
from trainwright.prepare.duplicates.likeness import LEAST_WORDS
from trainwright.prepare.duplicates.numbers import number_masks
from trainwright.prepare.duplicates.signatures import BAND_HASHES, BANDS, Signatures, sign
from trainwright.prepare.splitting.groups import group_hashes
from trainwright.prepare.work import SliceTask

PAIR, RESPONSE = "b", "r"
PAIR_BANDS = [f"{PAIR}{band}" for band in range(BANDS)]
RESPONSE_BANDS = [f"{RESPONSE}{band}" for band in range(BANDS)]
BYTES = {PAIR: "pairBytes", RESPONSE: "responseBytes"}
NUMBERS = {PAIR: "pairNumbers", RESPONSE: "responseNumbers"}


def sign_slice(task: SliceTask) -> int:
    """Sign one slice; returns the number of its exchanges."""
    work, piece = task.work, task.slice
    rows = piece.load(work.folder, "mapped")
    exchanges = exchanges_of(rows)
    of_row = rows.select("id", "rating", use=use_of(work.uses)).with_columns(group=group_hashes(rows, work.seed))
    signed = signed_of(exchanges, of_row, table_of(work.boilerplate))
    piece.save(work.folder, "signed", signed)
    return signed.height


def use_of(uses: dict[str, str | None]) -> pl.Expr:
    """`use` of the row's source; null lets data.split decide."""
    return pl.col("source").replace_strict(uses, default=None, return_dtype=pl.String)


def signed_of(
    exchanges: pl.DataFrame, of_row: pl.DataFrame, table: Mask, *, bands: int = BANDS, seed: int = 0
) -> pl.DataFrame:
    """Sign exchanges, and put the columns of their rows beside it."""
    response_words = words_in(exchanges["response"])
    words = words_in(exchanges["prompt"]) + response_words
    joined = exchanges.select(text=pl.concat_str("prompt", "response", separator="\x1f"))
    exact = joined.select(plh.col("text").nchash.xxh3_128())["text"]
    long = (words >= LEAST_WORDS).to_numpy()
    numbers = number_masks(exchanges["response"])
    all_numbers = number_masks(exchanges["prompt"]) | numbers
    pairs, responses = sign(exchanges.filter(pl.Series(long)), table, bands=bands, seed=seed)
    return pl.concat(
        [
            exchanges.select("row", "turn", "size", words=words, exact=exact),
            of_row[exchanges["row"]],
            _columns(pairs, PAIR, long, long),
            _columns(responses, RESPONSE, long, (response_words >= LEAST_WORDS).to_numpy()),
            pl.DataFrame({NUMBERS[PAIR]: all_numbers, NUMBERS[RESPONSE]: numbers}),
        ],
        how="horizontal",
    )


def _columns(signatures: Signatures, kind: str, signed: Mask, wanted: Mask) -> pl.DataFrame:
    """Signatures of the exchanges that are `signed` as columns over all; bands are 0 where they are not `wanted`."""
    columns = {}
    for band, band_T in enumerate(signatures.bands_NT):
        column = np.zeros(len(signed), np.uint64)
        column[signed] = band_T
        columns[f"{kind}{band}"] = column * wanted
    hashes = BAND_HASHES * len(signatures.bands_NT)
    lowest = np.zeros((len(signed), hashes), np.uint8)
    lowest[signed] = signatures.bytes_TH
    return pl.DataFrame(columns).with_columns(pl.Series(BYTES[kind], lowest, dtype=pl.Array(pl.UInt8, hashes)))
