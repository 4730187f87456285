"""Looks at a source before anybody trains on it: columns, how they would be read, bad lines, lengths.

In: a URI, and columns if they are not to be guessed. Out: figures, and lines of text for people. At most RECORDS
records of each file are looked at. The text of rows is shown only on request.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trainwright.api.data import Columns, Source
from trainwright.contract import RunConfig
from trainwright.ingest.accounts import total
from trainwright.ingest.joining import join
from trainwright.ingest.limits import LIMITS
from trainwright.ingest.reading import FileSummary, FileTask, blocks, read_file
from trainwright.ingest.records import kind_of
from trainwright.ingest.sources import Listed, list_source
from trainwright.workers import Workers

RECORDS = 200_000
EXAMPLES = 3
BAD_SHOWN = 10
QUANTILES = (0.0, 0.5, 0.9, 0.99, 1.0)
WIDTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """A column: in how many records it holds something, and what."""

    name: str
    filled: int
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in a source."""

    uri: str
    listed: Listed
    files: list[FileSummary]
    columns: list[ColumnFacts]
    prompt_lengths: list[int]
    """Characters at QUANTILES; empty without prompts."""
    response_lengths: list[int]
    examples: list[list[tuple[str, str]]]
    """Role and text of the turns of some rows."""

    @property
    def exchanges(self) -> int:
        """Exchanges that would be taken in."""
        return sum(file.exchanges for file in self.files)

    def render(self, *, examples: bool = False) -> Iterator[str]:
        """Yield lines for people; with `examples` also the text of the first rows."""
        yield from self._render_files()
        yield from self._render_columns()
        yield from self._render_rows()
        if examples:
            for turns in self.examples:
                yield ""
                for role, text in turns:
                    yield f"  {role}: {text[:WIDTH]!r}{'…' if len(text) > WIDTH else ''}"

    def _render_files(self) -> Iterator[str]:
        formats = ", ".join(f"{n} {name}" for name, n in Counter(f.format for f in self.files).items())
        count = f"{len(self.files):,} file{'s' if len(self.files) > 1 else ''}"
        yield f"{self.uri}: {count} ({formats}), {self.listed.size_bytes:,} bytes"
        if self.listed.passed_over:
            yield f"  {self.listed.passed_over:,} other files are passed over"
        checked, blank = sum(f.checked for f in self.files), sum(f.blank for f in self.files)
        yield f"  {checked:,} rows checked, {blank:,} blank" + (
            f" (only the first {RECORDS:,} of a file are read)" if any(f.is_partial for f in self.files) else ""
        )

    def _render_columns(self) -> Iterator[str]:
        records = sum(file.records for file in self.files) or 1
        yield "columns:"
        for column in self.columns:
            kinds = ", ".join(f"{kind} {n / column.filled:.0%}" for kind, n in column.kinds.items())
            yield f"  {column.name}: filled in {column.filled / records:.1%}" + (f" ({kinds})" if kinds else "")

    def _render_rows(self) -> Iterator[str]:
        mappings = total(file.mappings for file in self.files)
        yield "read as:" if mappings else "read as: no usual shape was recognised; say under `columns` what they are"
        for text, n in mappings.most_common():
            yield f"  {text} ({n:,} records)"
        rows = sum(file.rows for file in self.files)
        yield f"exchanges: {self.exchanges:,} in {rows:,} rows"
        dropped = total(file.dropped for file in self.files)
        if dropped:
            yield "  nothing to learn from: " + ", ".join(f"{n:,} {code}" for code, n in dropped.items())
        yield from self._render_bad()
        for name, lengths in (("prompts", self.prompt_lengths), ("responses", self.response_lengths)):
            if lengths:
                least, half, most, nearly, longest = lengths
                yield (
                    f"{name}: {least:,} to {longest:,} characters, half up to {half:,}, "
                    f"90 % up to {most:,}, 99 % up to {nearly:,}"
                )

    def _render_bad(self) -> Iterator[str]:
        counts = total(file.bad for file in self.files)
        yield "bad rows: " + (", ".join(f"{n:,} {code}" for code, n in counts.most_common()) or "none")
        first = ((file, bad) for file in self.files for bad in file.first_bad)
        for (file, bad), _ in zip(first, range(BAD_SHOWN), strict=False):
            yield f"  {file.where(bad.number)}: {bad.reason}"


def inspect_source(uri: str, config: RunConfig, columns: Columns | None = None) -> Inspection:
    """Read a source as a run would, without keeping anything.

    Raises:
        BadInput: nothing is there, or it cannot be read.
    """
    listed = list_source(Source(uri=uri, columns=columns), config)
    with tempfile.TemporaryDirectory(prefix="trainwright-inspect-") as folder:
        tasks = [
            FileTask(
                source=uri,
                file=file,
                format=format_name,
                columns=columns,
                limits=LIMITS,
                spill=Path(folder) / f"{n:06d}.arrow",
                max_records=RECORDS,
            )
            for n, (file, format_name) in enumerate(listed.files)
        ]
        files = [read_file(task) for task in tasks]
        spills = [task.spill for task in tasks if task.spill.exists()]
        if columns is not None and columns.conversation is not None:
            spills = join(tasks, columns, files, LIMITS, Workers(1))
        prompts, responses, examples = _texts(spills)
    return Inspection(
        uri=uri,
        listed=listed,
        files=files,
        columns=_columns(tasks),
        prompt_lengths=prompts,
        response_lengths=responses,
        examples=examples,
    )


def _columns(tasks: list[FileTask]) -> list[ColumnFacts]:
    filled: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for task in tasks:
        seen = 0
        for block in blocks(task, whole=True):
            for record in block.records:
                for name, value in record.items():
                    of_name = kinds.setdefault(name, Counter())
                    if value is not None and value != "":
                        filled[name] += 1
                        of_name[kind_of(value)] += 1
            seen += len(block.records)
            if seen >= RECORDS:
                break
    return [ColumnFacts(name=name, filled=filled[name], kinds=counts) for name, counts in kinds.items()]


def _texts(spills: list[Path]) -> tuple[list[int], list[int], list[list[tuple[str, str]]]]:
    """Lengths of prompts and of responses at QUANTILES, and the turns of the first rows."""
    if not spills:
        return [], [], []
    rows = pl.concat(pl.scan_ipc(path).select("messages") for path in spills).collect()
    turns = (
        rows.with_row_index("row")
        .explode("messages", empty_as_null=False, keep_nulls=False)
        .unnest("messages")
        .select("row", "role", "train", pl.col("content").fill_null("").str.len_chars().alias("length"))
        .with_columns(pl.col("length", "role").shift(1).over("row").name.prefix("before_"))
        .filter("train")
    )
    prompts = turns.filter(pl.col("before_role") == "user")["before_length"]
    examples = [
        [(turn["role"], turn["content"] or "") for turn in messages] for messages in rows["messages"].head(EXAMPLES)
    ]
    return _quantiles(prompts), _quantiles(turns["length"]), examples


def _quantiles(lengths: pl.Series) -> list[int]:
    return [int(lengths.quantile(q, "nearest") or 0) for q in QUANTILES] if len(lengths) else []
