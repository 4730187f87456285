"""JSON and YAML documents: where the records are in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from trainwright.errors import BadInput
from trainwright.ingest.documents import records_of

from tests.unit.ingest.conftest import Workshop

A, B = {"prompt": "a", "response": "A"}, {"prompt": "b", "response": "B"}
SAID = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "A"}]
LENIENT = {"maxBadShare": 1.0}


@pytest.mark.parametrize(
    ("document", "records"),
    [
        ([A, B], [A, B]),
        ([[A], [B, [A]]], [A, B, A]),
        ({"x": A, "y": B}, [{"id": "x"} | A, {"id": "y"} | B]),
        ({"x": A | {"id": 7}}, [A | {"id": 7}]),
        ({"version": 2, "data": [A, B]}, [{"version": 2} | A, {"version": 2} | B]),
        ({"x": SAID, "y": SAID}, [{"id": "x", "messages": SAID}, {"id": "y", "messages": SAID}]),
        ([SAID, SAID], [{"messages": SAID}, {"messages": SAID}]),
        ([["a", "A"], ["b", "B"]], [{"messages": ["a", "A"]}, {"messages": ["b", "B"]}]),
        ({"messages": SAID}, [{"messages": SAID}]),
        ({"conversations": SAID}, [{"conversations": SAID}]),
        (
            {"topic": "t", "conversations": [["a", "A"], ["b", "B"]]},
            [{"topic": "t", "conversations": ["a", "A"]}, {"topic": "t", "conversations": ["b", "B"]}],
        ),
        ({"x": {"messages": [[SAID[0]], [SAID[1]]]}}, [{"id": "x", "messages": [[SAID[0]], [SAID[1]]]}]),
        (A, [A]),
        (["one", "two"], [{"text": "one"}, {"text": "two"}]),
        (5, [5]),
    ],
)
def test_records_are_found(document: Any, records: list[Any]) -> None:
    assert list(records_of(document)) == records


def test_a_record_that_is_none_is_named_by_its_number(workshop: Workshop) -> None:
    result = workshop.ingest(workshop.write("a.json", json.dumps([A, 5, B])), **LENIENT)
    assert [(bad["record"], bad["reason"]) for bad in result.bad] == [(2, "a number instead of an object")]
    assert [row["record"] for row in result.rows] == [0, 2]


def test_json_lines_under_the_name_of_json_are_read_as_such(workshop: Workshop) -> None:
    uri = workshop.write("a.json", [A, B])
    assert len(workshop.ingest(uri).rows) == 2


def test_a_repeated_key_in_a_document_makes_its_record_bad(workshop: Workshop) -> None:
    text = '[{"prompt": "a", "response": "A"}, {"prompt": "b", "prompt": "c", "response": "B"}]'
    result = workshop.ingest(workshop.write("a.json", text), **LENIENT)
    assert [(bad["record"], bad["code"]) for bad in result.bad] == [(2, "duplicateKey")]


def test_a_record_id_that_stands_twice_is_refused(workshop: Workshop) -> None:
    text = '{"x": {"prompt": "a", "response": "A"}, "x": {"prompt": "b", "response": "B"}}'
    with pytest.raises(BadInput, match="the key 'x' stands twice"):
        workshop.ingest(workshop.write("a.json", text))


def test_half_of_a_surrogate_pair_makes_its_record_bad(workshop: Workshop) -> None:
    text = '[{"prompt": "a\\ud800", "response": "A"}, {"prompt": "\\ud83d\\ude00", "response": "B"}]'
    result = workshop.ingest(workshop.write("a.json", text), **LENIENT)
    assert [(bad["record"], bad["code"]) for bad in result.bad] == [(1, "loneSurrogate")]
    assert result.conversations[0][0] == ("user", "\U0001f600")


@pytest.mark.parametrize("text", ['[{"prompt": "a"', "{", "nonsense", '[{"a": 1}] []'])
def test_a_broken_document_is_an_error_with_its_name(workshop: Workshop, text: str) -> None:
    with pytest.raises(BadInput, match=r"a\.json is no valid JSON"):
        workshop.ingest(workshop.write("a.json", text))


def test_integers_of_any_size_are_kept(workshop: Workshop) -> None:
    number = 123456789012345678901234567890
    uri = workshop.write("a.json", json.dumps([A | {"n": number}]))
    (row,) = workshop.ingest({"uri": uri, "columns": {"prompt": "prompt", "response": "response", "keep": ["n"]}}).rows
    assert json.loads(row["metadata"]) == {"n": number}


def test_yaml_conversations_keep_their_words(workshop: Workshop) -> None:
    uri = workshop.write(
        "a.yml",
        "\ufeffcategories: [AI]\nconversations:\n- [Is it?, No]\n- [How much?, 1.50]\n- [When?, 2024-01-02]\n",
    )
    columns = {"messages": "conversations", "keep": ["categories"]}
    result = workshop.ingest({"uri": uri, "columns": columns})
    assert [turns[1][1] for turns in result.conversations] == ["No", "1.50", "2024-01-02"]
    assert result.rows[0]["metadata"] == '{"categories":["AI"]}'


def test_yaml_nothing_is_null(workshop: Workshop) -> None:
    uri = workshop.write("a.yaml", "- {prompt: a, response: ~}\n- prompt: b\n  response:\n- {prompt: c, response: d}\n")
    result = workshop.ingest(uri)
    assert result.facts[0]["dropped"] == {"emptyResponse": 2}


def test_yaml_documents_follow_one_another(workshop: Workshop) -> None:
    uri = workshop.write("a.yaml", "prompt: a\nresponse: A\n---\nprompt: b\nresponse: B\n")
    assert len(workshop.ingest(uri).rows) == 2


def test_yaml_aliases_are_refused(workshop: Workshop) -> None:
    with pytest.raises(BadInput, match=r"aliases \(\*x\) are not read"):
        workshop.ingest(workshop.write("a.yaml", "- &x {prompt: a, response: A}\n- *x\n"))


def test_broken_yaml_is_an_error_with_its_line(workshop: Workshop) -> None:
    with pytest.raises(BadInput, match=r"a\.yaml, line 2: no valid YAML"):
        workshop.ingest(workshop.write("a.yaml", "- a: b\n- c: ]\n"))
