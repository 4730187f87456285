"""Joins the utterances that reading left in spill files into conversations, bucket by bucket, in worker processes."""

from __future__ import annotations

from pathlib import Path

from trainwright.api.data import Columns
from trainwright.ingest.limits import Limits
from trainwright.ingest.reading import FileSummary, FileTask
from trainwright.ingest.utterances import Bucket, bucket_count, read_bucket
from trainwright.workers import Workers


def join(
    tasks: list[FileTask], columns: Columns, summaries: list[FileSummary], limits: Limits, workers: Workers
) -> list[Path]:
    """Join the utterances of a source; returns the spill files of its conversations and completes the summaries."""
    files = tuple((task.file.name, task.spill) for task in tasks if task.spill.exists())
    of_file = [summary for task, summary in zip(tasks, summaries, strict=True) if task.spill.exists()]
    count = bucket_count([path for _, path in files])
    buckets = [
        Bucket(
            number=number,
            count=count,
            source=tasks[0].source,
            columns=columns,
            files=files,
            limits=limits,
            spill=tasks[0].spill.with_name(f"{tasks[0].spill.stem}-joined-{number:06d}.arrow"),
        )
        for number in range(count if files else 0)
    ]
    for joined in workers.map(read_bucket, buckets):
        of_file[0].rows += joined.rows
        of_file[0].exchanges += joined.exchanges
        of_file[0].dropped += joined.dropped
        for file, bad in joined.bad:
            of_file[file].note_bad([bad])
    return [bucket.spill for bucket in buckets if bucket.spill.exists()]
