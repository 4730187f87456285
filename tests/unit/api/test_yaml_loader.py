"""YAML is read as kubectl reads it, with the line of every value, and nothing is ever raised."""

from __future__ import annotations

from typing import Any

import pytest
from trainwright.api.yaml_loader import MAX_DEPTH, read_documents

# What is written → what kubectl makes of it; a test with kubectl holds it to that.
WORDS = [
    ("yes", True),
    ("y", True),
    ("On", True),
    ("n", False),
    ("off", False),
    ("~", None),
    ("", None),
    ("0777", 511),
    ("0o17", 15),
    ("0x1F", 31),
    ("0b101", 5),
    ("089", 89),
    ("1_000", 1000),
    ("1e3", 1000),
    ("1.0", 1),
    ("2e-5", 2e-05),
    (".5", 0.5),
    ("1e400", "1e400"),
    ("18446744073709551615", 2**64 - 1),
    ("18446744073709551616", float(2**64)),
    ("2024-06-01", "2024-06-01"),
    ("12:30", "12:30"),
    ("1.2.3", "1.2.3"),
    ("0x", "0x"),
    ('"no"', "no"),
    ("'8'", "8"),
    ("!!str 8", "8"),
    ('!!int "8"', 8),
]


def read(text: str) -> Any:
    (document,) = read_documents(text)
    assert document.faults == []
    return document.value


@pytest.mark.parametrize(("text", "value"), WORDS)
def test_a_word_becomes_what_kubectl_makes_of_it(text: str, value: Any) -> None:
    got = read(f"key: {text}")["key"]
    assert got == value
    assert type(got) is type(value)


def test_keys_become_text() -> None:
    assert read("{y: a, 0777: b, 1.0: c, 2.5: d}") == {"true": "a", "511": "b", "1": "c", "2.5": "d"}


def test_a_byte_order_mark_and_foreign_line_ends_are_taken() -> None:
    assert read("\ufeffa: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}


def test_json_may_escape_any_character() -> None:
    assert read(r'{"a": "\ud83d\ude42 \u00e9", "b": "\\ud83d\\ude42"}') == {"a": "🙂 é", "b": r"\ud83d\ude42"}


def test_aliases_and_merges_are_followed() -> None:
    text = "base: &b {memory: 8Gi, cpu: 2}\nuse: {<<: *b, cpu: 4}\nmany: {<<: [*b, {gpus: 1}]}\n"
    value = read(text)
    assert value["use"] == {"memory": "8Gi", "cpu": 4}
    assert value["many"] == {"memory": "8Gi", "cpu": 2, "gpus": 1}


def test_every_value_has_its_line() -> None:
    (document,) = read_documents("# comment\na:\n  b: [1,\n    2]\n  c: |\n    text\n\nd: {e: 1}\n")
    assert document.line_of(("a",)) == 2
    assert document.line_of(("a", "b", 1)) == 4
    assert document.line_of(("a", "c")) == 5
    assert document.line_of(("d", "e")) == 8
    assert document.line_of(("d", "unwritten")) == 8


def test_documents_are_told_apart_and_empty_ones_left_out() -> None:
    documents = read_documents("---\na: 1\n---\n---\nb: 2\n...\n")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].line_of(("b",)) == 5


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "stands twice, first in line 1"),
        ("a: .inf", 1, ".inf is no number that JSON can carry"),
        ("a: [what?]", 1, "kubectl cannot read an unquoted ? inside { } or [ ]: quote 'what?'"),
        ("a: {b", 2, "this is no YAML: did not find expected ',' or '}'"),
        ("a:\n\t- b", 2, "this is no YAML: found character that cannot start any token"),
        ("a: *b", 1, "*b is an alias of nothing above it"),
        ("a: &b [*b]", 1, "*b contains itself"),
        ("a: !!binary aGk=", 1, "kubectl's YAML does not know the tag tag:yaml.org,2002:binary"),
        ("? [a]\n: b", 1, "a key must be text"),
        ("~: a", 1, "~ is no key: quote it"),
        ("<<: a", 1, "<< merges maps, and only maps"),
        ("a: " + "[" * (MAX_DEPTH + 1), 1, "nested more than 64 deep"),
        ("a: " + "[" * 100_000, 1, "this is no YAML: exceeded maximum nesting depth"),
        ("a: \x07", 1, "this is no YAML: control characters are not allowed"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, message: str) -> None:
    fault = read_documents(text)[-1].faults[0]
    assert (fault.line, fault.message) == (line, message)


def test_aliases_cannot_blow_a_small_file_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert read_documents("\n".join(lines))[-1].faults[0].message == "more than 100,000 values"
