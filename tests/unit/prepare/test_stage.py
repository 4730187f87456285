"""The stage as a whole: nothing is lost, nothing depends on workers or partitions."""

from __future__ import annotations

from pathlib import Path

from tests.factories import conversation, rows_frame
from tests.unit.prepare.preparing import prepare


def test_an_exact_copy_goes_and_is_found_under_dropped(tmp_path: Path) -> None:
    rows = rows_frame(
        conversation("How are you?", "Fine, thank you.", record=1),
        conversation("How are you?", "fine thank you", record=2),
        conversation("Where is Bern?", "In Switzerland.", record=3),
    )
    done = prepare(tmp_path, rows)
    assert sorted(done.rows["record"]) == [1, 3]
    assert done.dropped.select("record", "step", "reason").rows() == [(2, "deduplicate", "exact")]
    assert done.report.counts["rowsIn"] == 3
    assert done.report.counts["train"] == 2
