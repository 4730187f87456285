"""What is too bad to go on with."""

from __future__ import annotations

import pytest
from trainwright.errors import BadInput

from tests.unit.ingest.conftest import Workshop

GOOD = b'{"prompt": "a", "response": "b"}\n'


def test_more_bad_rows_than_allowed_end_the_run_and_name_the_first(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", GOOD * 97 + b"oops\n" * 3)
    with pytest.raises(
        BadInput, match=r"3 of 100 rows are bad, more than maxBadShare 0\.01 .*a\.jsonl, line 98: no valid"
    ):
        workshop.ingest(uri)


def test_as_many_bad_rows_as_allowed_are_skipped(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", GOOD * 99 + b"oops\n")
    result = workshop.ingest(uri)
    assert result.report.counts["bad"] == 1
    assert "1 bad rows are named in bad.jsonl" in result.report.message


def test_the_first_bad_row_ends_the_run_where_the_spec_says_so(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", GOOD * 99 + b"oops\n")
    with pytest.raises(BadInput, match=r"bad row in a\.jsonl, line 100: no valid JSON"):
        workshop.ingest(uri, onBadRows="Fail")


def test_numbers_where_text_belongs_get_the_cure_as_a_hint(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", [{"question": "1 + 1?", "answer": 2}])
    with pytest.raises(BadInput, match="answer is a number, not text") as caught:
        workshop.ingest(uri)
    assert "template" in caught.value.hint
    columns = {"prompt": "question", "response": "{answer}"}
    assert workshop.ingest({"uri": uri, "columns": columns}).conversations[0][1] == ("assistant", "2")


def test_a_source_without_a_known_shape_lists_its_columns(workshop: Workshop) -> None:
    with pytest.raises(BadInput, match="its columns are first, second") as caught:
        workshop.ingest(workshop.write("a.jsonl", [{"first": "a", "second": "b"}]))
    assert "say under `columns`" in caught.value.hint


def test_a_source_with_nothing_to_learn_from_says_why(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", [{"prompt": "a", "response": ""}, {"prompt": "", "response": "b"}])
    with pytest.raises(BadInput, match="1 emptyResponse, 1 emptyPrompt"):
        workshop.ingest(uri)


def test_no_text_of_a_row_is_in_the_list_of_bad_rows(workshop: Workshop) -> None:
    uri = workshop.write("a.jsonl", GOOD + b'{"prompt": "secret words", "response": 5}\n{"prompt": "secret words\n')
    result = workshop.ingest(uri, maxBadShare=1.0)
    assert "secret" not in (result.folder / "bad.jsonl").read_text()
    assert result.report.counts["bad"] == 2
