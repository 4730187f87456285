"""sign: the second phase, one slice at a time: rows → one line of hashes and rank per exchange, in `signed/`.

Columns: row, turn, id, source, spared, group (hash), rating, size, words, exact.
"""

from __future__ import annotations

import polars as pl
import polars_hash as plh

from trainwright.prepare.exchanges import exchanges_of
from trainwright.prepare.slices import Slice
from trainwright.prepare.work import Work


def sign_slice(task: tuple[Work, Slice]) -> int:
    """Write the signatures of one slice; returns the number of exchanges."""
    work, piece = task
    rows = pl.read_parquet(piece.path(work.folder, "mapped"))
    exchanges = exchanges_of(rows)
    exact = exchanges.select(z=pl.concat_str("prompt", "response", separator="\x1f")).select(
        plh.col("z").nchash.xxh3_128()
    )["z"]
    words = pl.col("prompt").str.count_matches(r"\S+") + pl.col("response").str.count_matches(r"\S+")
    ranks = rows.select("id", "source", "rating").with_columns(spared=pl.col("source").is_in(work.spared))
    signed = pl.concat(
        [
            exchanges.select("row", "turn", "size", words=words, exact=exact),
            ranks[exchanges["row"]],
        ],
        how="horizontal",
    )
    signed.write_parquet(piece.path(work.folder, "signed"), compression="lz4")
    return signed.height
