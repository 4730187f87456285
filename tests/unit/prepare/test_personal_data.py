"""personalData: what identifies a person is found, and numbers that do not are left."""

from __future__ import annotations

import json

import pytest
from trainwright.formats.rows import FLAG_PERSONAL_DATA

from tests.factories import conversation, rows_frame
from tests.unit.prepare.preparing import answers, asked, questions_and_answers, step

EVERY_KIND = {"kinds": ["email", "phone", "card", "iban", "ip", "nationalId", "url"]}


def redacted(*texts: str) -> list[str]:
    return answers(step("personalData", asked(*texts), EVERY_KIND)[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail a.b+c@example.co.uk, now.", "mail <EMAIL>, now."),
        ("Call 555-123-4567 or (555) 123-4567!", "Call <PHONE> or <PHONE>!"),
        ("+41 44 668 18 00, +1 (650) 253-0000 or +491711234567", "<PHONE>, <PHONE> or <PHONE>"),
        ("my phone: 044 668 18 00", "my phone: <PHONE>"),
        ("Ring 044 668 18 00.", "Ring <PHONE>."),
        ("call me at 5551234567 ok", "call me at <PHONE> ok"),
        ("visa 4111 1111 1111 1111, 5500-0000-0000-0004, 378282246310005.", "visa <CARD>, <CARD>, <CARD>."),
        ("DE89 3704 0044 0532 0130 00 AND GB82WEST12345698765432.", "<IBAN> AND <IBAN>."),
        ("from 52.14.8.200:8080 or 2001:db8:85a3::8a2e:370:7334", "from <IP>:8080 or <IP>"),
        ("ssn 123-45-6789, AB 12 34 56 C, 12345678Z, 756.9217.0769.85", "ssn " + ", ".join(["<NATIONAL_ID>"] * 4)),
        ("see https://example.com/a?b=c. and www.example.org!", "see <URL>. and <URL>!"),
    ],
)
def test_each_kind_becomes_a_typed_placeholder(text: str, expected: str) -> None:
    assert redacted(text) == [expected]


def test_numbers_that_are_not_personal_stay() -> None:
    rows = questions_and_answers("impersonal_numbers.jsonl")
    batch, tally = step("personalData", rows, EVERY_KIND)
    assert answers(batch) == [row[1]["content"] for row in rows.sort("record")["messages"]]
    assert not tally.changed


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112 fails its checksum",
        "part 4111111111111111-22",
        "x4111111111111111",
        "DE89370400440532013001 fails",
        "10.1.2.3 and 192.168.1.10 are private",
        "std::vector<int> at 12:30:45",
        "12345678A has another letter",
        "000-12-3456",
        "open 08:00-12:00, score 21-14, 1990-2000",
    ],
)
def test_a_shape_without_its_proof_stays(text: str) -> None:
    assert redacted(text) == [text]


def test_arguments_of_tools_stay_json() -> None:
    call = '[{"name": "dial", "arguments": {"phone": 5551234567, "note": "call 5551234567, \\"a@b.org\\""}}]'
    rows = rows_frame(
        conversation(
            "x", {"role": "assistant", "content": None, "toolCalls": call}, ("tool", '{"mail":"a@b.org"}'), "ok"
        )
    )
    batch, _ = step("personalData", rows)
    (arguments,) = (json.loads(text)[0]["arguments"] for text in batch.turns["toolCalls"].drop_nulls())
    assert arguments == {"phone": "<PHONE>", "note": 'call <PHONE>, "<EMAIL>"'}
    assert batch.turns["content"][2] == '{"mail":"<EMAIL>"}'


def test_redacted_turns_are_flagged_and_counted_by_kind() -> None:
    batch, tally = step("personalData", asked("a@b.org and c@d.org", "nothing"))
    flagged = batch.turns.filter(batch.turns["flags"] == FLAG_PERSONAL_DATA)["content"].to_list()
    assert flagged == ["<EMAIL> and <EMAIL>"]
    assert tally.changed == {"email": 1}


def test_kinds_that_are_not_named_stay() -> None:
    batch, _ = step("personalData", asked("a@b.org https://example.com"))
    assert answers(batch) == ["<EMAIL> https://example.com"]


@pytest.mark.parametrize(
    ("action", "kept", "trained"), [("Drop", 0, 0), ("Cut", 2, 1), ("NoTrain", 4, 1), ("Keep", 4, 2)]
)
def test_other_actions_decide_about_the_conversation(action: str, kept: int, trained: int) -> None:
    rows = rows_frame(conversation("Hello?", "Hi.", "Your mail?", "It is a@b.org."))
    batch, tally = step("personalData", rows, {"action": action})
    assert batch.turns.height == kept
    assert batch.turns["train"].sum() == trained
    assert tally.entered - tally.left == sum(tally.reasons.values())
    taken = [message["content"] for row in batch.dropped_rows()["messages"] for message in row]
    assert len(taken) == 4 - kept


@pytest.mark.parametrize("action", ["Drop", "Cut"])
def test_rows_for_evaluation_are_redacted_instead_of_taken(action: str) -> None:
    rows = asked("It is a@b.org.", source="test")
    batch, tally = step("personalData", rows, {"action": action}, uses={"test": "Test"})
    assert answers(batch) == ["It is <EMAIL>."]
    assert tally.spared == {"email": 1}
