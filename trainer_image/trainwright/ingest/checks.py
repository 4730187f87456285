"""Judges what was read from a source: nothing at all, columns that do not exist, too many bad rows."""

from __future__ import annotations

from trainwright.api.data import Data, Source
from trainwright.errors import BadInput
from trainwright.ingest.limits import Limits
from trainwright.ingest.mapping import Mapping
from trainwright.ingest.reading import FileSummary


def check_source(source: Source, files: list[FileSummary], data: Data, limits: Limits) -> None:
    """Raise what is wrong with a source as a whole.

    Raises:
        BadInput: it is empty, no row has a column that was named, or its bad rows are more than the spec allows.
    """
    if not any(file.records or file.bad for file in files):
        raise BadInput(f"{source.uri} is empty: {len(files)} file(s) without a single row", hint="check the path")
    _check_columns(source, files, limits)
    _check_bad(source, files, data, limits)
    if not any(file.rows for file in files):
        reasons = ", ".join(f"{n} {code}" for file in files for code, n in file.dropped.items())
        raise BadInput(f"{source.uri}: no row has anything to learn from ({reasons})", hint="check `columns`")


def _check_columns(source: Source, files: list[FileSummary], limits: Limits) -> None:
    if source.columns is None:
        return
    seen = {name: f"{f.name} {f.place(n)}" for f in reversed(files) for name, n in f.columns.items()}
    missing = [
        name
        for name in sorted(Mapping(source.columns, limits.turns).names)
        if name not in seen and name.split(".")[0] not in seen
    ]
    if missing and any(file.records for file in files):
        raise BadInput(
            f"{source.uri}: no row has the column {', '.join(map(repr, missing))}",
            hint=f"the columns are: {', '.join(sorted(seen))}"[:1000],
        )


def _check_bad(source: Source, files: list[FileSummary], data: Data, limits: Limits) -> None:
    bad = sum(len(file.bad) for file in files)
    if not bad:
        return
    first = [
        f"{' '.join(str(value) for value in file.place(row.number).values())}: {row.reason}"
        for file in files
        for row in file.bad[: limits.first_bad]
    ][: limits.first_bad]
    if data.on_bad_rows == "Fail":
        raise BadInput(f"{source.uri}: a bad row in {first[0]}", hint="mend it, or set onBadRows: Skip")
    records = sum(file.checked - file.blank for file in files)
    if bad > data.max_bad_share * records:
        raise BadInput(
            f"{source.uri}: {bad} of {records} rows are bad, more than maxBadShare {data.max_bad_share}: "
            + "; ".join(first),
            hint="mend them, or raise data.maxBadShare",
        )
