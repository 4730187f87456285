"""Judges what was read from a source: nothing at all, columns that do not exist, too many bad rows."""

from __future__ import annotations

from trainwright.api.data import Data, Source
from trainwright.errors import BadInput
from trainwright.ingest.accounts import total
from trainwright.ingest.columns import columns_read
from trainwright.ingest.reading import FileSummary

NAMED = 5
"""Bad rows that an error names."""
HINTS = {
    "unknownShape": "say under `columns` which columns are prompt and response, messages or text",
    "wrongType": 'a template writes numbers as text: response: "{column}"',
    "unknownRole": "say under `columns.roles` what each name stands for",
}


def check_source(source: Source, files: list[FileSummary], data: Data) -> None:
    """Raise what is wrong with a source as a whole.

    Raises:
        BadInput: it is empty, no row has a column that was named, or its bad rows are more than the spec allows.
    """
    if not any(file.records or file.bad for file in files):
        raise BadInput(f"{source.uri} is empty: {len(files)} file(s) without a single row", hint="check the path")
    _check_columns(source, files)
    _check_bad(source, files, data)
    if not any(file.rows for file in files):
        reasons = ", ".join(f"{n:,} {code}" for code, n in total(file.dropped for file in files).items())
        raise BadInput(f"{source.uri}: no row has anything to learn from ({reasons})", hint="check `columns`")


def _check_columns(source: Source, files: list[FileSummary]) -> None:
    if source.columns is None or not any(file.records for file in files):
        return
    seen = {name: file.where(n) for file in reversed(files) for name, n in file.columns.items()}
    named = sorted(columns_read(source.columns))
    missing = [name for name in named if name not in seen and name.split(".")[0] not in seen]
    if missing:
        columns = "; ".join(f"{name} (from {place} on)" for name, place in sorted(seen.items()))
        raise BadInput(
            f"{source.uri}: no row has the column {', '.join(map(repr, missing))}",
            hint=f"the columns are {columns}"[:1000],
        )


def _check_bad(source: Source, files: list[FileSummary], data: Data) -> None:
    bad = sum(file.bad.total() for file in files)
    if not bad:
        return
    first = [f"{file.where(row.number)}: {row.reason}" for file in files for row in file.first_bad][:NAMED]
    if data.on_bad_rows == "Fail":
        raise BadInput(f"{source.uri}: bad row in {first[0]}", hint="mend it, or set data.onBadRows: Skip")
    rows = sum(file.checked - file.blank for file in files)
    if bad > data.max_bad_share * rows:
        raise BadInput(
            f"{source.uri}: {bad:,} of {rows:,} rows are bad, more than maxBadShare {data.max_bad_share} allows. "
            + "; ".join(first),
            hint=_hint(files),
        )


def _hint(files: list[FileSummary]) -> str:
    code, _ = total(file.bad for file in files).most_common(1)[0]
    return HINTS.get(code, "mend them, or raise data.maxBadShare")
