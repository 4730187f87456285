"""What `trainwright inspect` says of a source."""

from __future__ import annotations

from collections.abc import Callable

from trainwright.api.data import Columns
from trainwright.ingest import inspect_source

from tests.unit.ingest.conftest import Workshop


def test_columns_mapping_bad_rows_and_lengths_are_shown_without_the_text_of_rows(workshop: Workshop) -> None:
    records = [
        {"question": f"What is {n}?", "answer": "A number.", "score": n or "none", "note": None} for n in range(9)
    ]
    uri = workshop.write("a.jsonl", [*records, {"question": "Why?", "answer": 5}])
    text = "\n".join(inspect_source(uri, workshop.config([{"uri": uri}])).render())
    for line in (
        "./a.jsonl: 1 file (1 jsonl)",
        "  10 rows checked, 0 blank",
        "  score: filled in 90.0% (text 11%, a number 89%)",
        "  note: filled in 0.0%",
        '  {"prompt":"question","response":"answer"} (10 records)',
        "exchanges: 9 in 9 rows",
        "bad rows: 1 wrongType",
        "  a.jsonl, line 10: answer is a number, not text",
        "prompts: 10 to 10 characters, half up to 10, 90 % up to 10, 99 % up to 10",
        "responses: 9 to 9 characters",
    ):
        assert line in text
    assert "What is" not in text


def test_rows_are_shown_on_request(workshop: Workshop, data: Callable[[str], str]) -> None:
    inspection = inspect_source(data("system_turns.jsonl"), workshop.config([{"uri": "./x"}]))
    assert "  assistant: 'Grass is green.'" in list(inspection.render(examples=True))


def test_a_source_without_a_known_shape_is_shown_with_its_columns(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", [{"first": "a", "second": "b"}])
    lines = list(inspect_source(uri, workshop.config([{"uri": uri}])).render())
    assert any("no usual shape was recognised" in line for line in lines)
    assert "  second: filled in 100.0% (text 100%)" in lines


def test_columns_can_be_given(workshop: Workshop) -> None:
    rows = [{"t": 1, "who": "user", "said": "Hi"}, {"t": 1, "who": "assistant", "said": "Hello"}]
    uri = workshop.write("a.jsonl", rows)
    columns = Columns(conversation="t", role="who", content="said")
    assert inspect_source(uri, workshop.config([{"uri": uri}]), columns).exchanges == 1
