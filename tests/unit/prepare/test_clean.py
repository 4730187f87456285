"""clean: noise goes, meaning stays, and every kind is counted."""

from __future__ import annotations

import pytest

from tests.factories import conversation, rows_frame
from tests.unit.prepare.preparing import answers, asked, questions_and_answers, step


def cleaned(*texts: str, **settings: object) -> list[str]:
    return answers(step("clean", asked(*texts), settings)[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Hi &amp; <b>bold</b>ly</p>", "Hi & boldly"),
        ("one<br/>two", "one\ntwo"),
        ("<script>alert(1)</script>seen<!-- not seen -->", "seen"),
        ("a < b and c > d, I <3 you", "a < b and c > d, I <3 you"),
        ("write to <EMAIL> or use List<String>", "write to <EMAIL> or use List<String>"),
        ("&lt;b&gt; is &#98;old &amp;amp;", "<b> is bold &amp;"),
        ("`<b>x</b>` and\n```\n<p>  y</p>\n```", "`<b>x</b>` and\n```\n<p>  y</p>\n```"),
    ],
)
def test_markup_goes_and_its_text_stays(text: str, expected: str) -> None:
    assert cleaned(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Yes” – it’s fine…", '"Yes" - it\'s fine...'),
        ("no!!!!!! why??????", "no!!! why???"),
        ("  too   many\u00a0spaces  \n\n\n\nhere ", "too many spaces\n\nhere"),
        ("list:\n    - indented\n\t- tabbed", "list:\n    - indented\n\t- tabbed"),
        ("line\u2028separator\x0band\x85more\r\nend", "line\nseparator\nand\nmore\nend"),
        ("cafe\u0301", "caf\u00e9"),
        ("\x1b[31mred\x1b[0m bell\x07", "red bell"),
    ],
)
def test_signs_spaces_and_line_ends_become_plain(text: str, expected: str) -> None:
    assert cleaned(text) == [expected]


def test_joiners_flags_and_marks_stay_and_hidden_trash_goes() -> None:
    rows = questions_and_answers("invisible_characters.jsonl")
    before = [row[1]["content"] for row in rows.sort("record")["messages"]]
    after = answers(step("clean", rows)[0])
    assert after[:5] == before[:5]
    assert after[5] == "invisible and softhyphen and turned"
    assert after[6] == "a\tb\ncde"


def test_emoji_go_as_whole_sequences() -> None:
    rows = questions_and_answers("invisible_characters.jsonl")
    after = answers(step("clean", rows, {"emoji": "Remove"})[0])
    assert after[2] == "and came."
    assert after[3] == "and and keycap"
    assert cleaned("Nice 👍🏽!", "(c) © 2031 ™", emoji="Remove") == ["Nice!", "(c) © 2031 ™"]
    assert after[0].count("\u200c") == 3


def test_a_tag_that_spells_no_flag_is_hidden_text() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    assert cleaned(f"hello{hidden} there") == ["hello there"]


def test_lower_case_is_a_switch() -> None:
    assert cleaned("NASA Rocks") == ["NASA Rocks"]
    assert cleaned("NASA Rocks", lowercase=True) == ["nasa rocks"]


def test_switches_leave_their_noise() -> None:
    assert cleaned("<b>“x”</b>", html=False, punctuation=False) == ["<b>“x”</b>"]


def test_what_tools_say_is_left_alone() -> None:
    rows = rows_frame(conversation("x", ("tool", '<b>{"a":  1}</b>'), "Done <b>now</b>."))
    batch, _ = step("clean", rows)
    assert batch.turns["content"].to_list() == ["x", '<b>{"a":  1}</b>', "Done now."]


def test_a_response_that_ends_up_empty_is_taken() -> None:
    rows = rows_frame(conversation("x", "<br>", record=1), conversation("<br>", "y", record=2), conversation("x", "y"))
    batch, tally = step("clean", rows)
    assert batch.kept_rows()["record"].to_list() == [0]
    assert tally.reasons == {"emptyResponse": 1, "emptyPrompt": 1}
    assert tally.entered - tally.left == 2
    assert tally.changed["html"] == 2
