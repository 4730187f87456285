"""CSV: strict, and a bad row never takes its neighbours with it."""

from __future__ import annotations

import pytest
from trainwright.errors import BadInput

from tests.unit.ingest.conftest import Workshop

LENIENT = {"maxBadShare": 1.0}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(workshop: Workshop, delimiter: str) -> None:
    lines = ["question", "answer"], ["What?", '"a, b; c | d"']
    uri = workshop.write("a.csv", "\n".join(delimiter.join(line) for line in lines))
    assert workshop.ingest(uri).conversations == [[("user", "What?"), ("assistant", "a, b; c | d")]]


def test_quoted_values_hold_delimiters_quotes_and_line_ends(workshop: Workshop) -> None:
    uri = workshop.write("a.csv", 'question,answer\n"one, ""two""\nthree",four\r\n')
    result = workshop.ingest(uri)
    assert result.conversations == [[("user", 'one, "two"\nthree'), ("assistant", "four")]]
    assert result.rows[0]["record"] == 1


def test_an_open_quote_costs_one_row_and_all_others_are_read(workshop: Workshop) -> None:
    uri = workshop.write("a.csv", 'question,answer\nq1,"open\nq2,a2\nq3,a3\nq4,"a4"\nq5,a5\n')
    result = workshop.ingest(uri, **LENIENT)
    assert [turns[0][1] for turns in result.conversations] == ["q2", "q3", "q4", "q5"]
    assert [(bad["line"], bad["code"]) for bad in result.bad] == [(2, "badQuoting")]


def test_an_open_quote_at_the_end_costs_one_row(workshop: Workshop) -> None:
    uri = workshop.write("a.csv", 'question,answer\nq1,"open\nq2,a2\nq3,a3')
    result = workshop.ingest(uri, **LENIENT)
    assert [turns[0][1] for turns in result.conversations] == ["q2", "q3"]
    assert [bad["line"] for bad in result.bad] == [2]


def test_ragged_and_undecodable_rows_are_named_and_rows_add_up(workshop: Workshop) -> None:
    text = b"question,answer\nq1,a1\nq2\nq3,a3,x\n\nq4,\xff\nq5,a5\n"
    result = workshop.ingest(workshop.write("a.csv", text), **LENIENT)
    assert [(bad["line"], bad["code"]) for bad in result.bad] == [(3, "ragged"), (4, "ragged"), (6, "notUtf8")]
    assert result.bad[0]["reason"] == "1 fields, the header has 2"
    counts = result.report.counts
    assert counts["lines"] == counts["rows"] + counts["bad"] + counts["blank"] == 6


def test_a_value_of_a_megabyte_is_read(workshop: Workshop) -> None:
    uri = workshop.write("a.csv", "question,answer\nq," + "a" * (1 << 20))
    assert len(workshop.ingest(uri).conversations[0][1][1] or "") == 1 << 20


def test_a_line_separator_inside_a_value_ends_no_row(workshop: Workshop) -> None:
    uri = workshop.write("a.csv", "question,answer\nq\u2028q,a\x0ba\x1ca\n")
    assert workshop.ingest(uri).conversations == [[("user", "q\u2028q"), ("assistant", "a\x0ba\x1ca")]]


def test_two_columns_of_one_name_are_refused(workshop: Workshop) -> None:
    with pytest.raises(BadInput, match="two columns are called 'a'"):
        workshop.ingest(workshop.write("a.csv", "a,b,a\n1,2,3\n"))


def test_columns_of_a_table_are_merged_by_a_template(workshop: Workshop) -> None:
    uri = workshop.write("t.csv", "subject,body,reply,n\nCold,It is cold.,Heat it.,5\n,Only this.,Yes.,\n")
    columns = {"prompt": "{subject}\n\n{body}", "response": "reply", "system": "Ticket {n}."}
    assert workshop.ingest({"uri": uri, "columns": columns}).conversations == [
        [("system", "Ticket 5."), ("user", "Cold\n\nIt is cold."), ("assistant", "Heat it.")],
        [("user", "Only this."), ("assistant", "Yes.")],
    ]
