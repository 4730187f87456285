"""relevance: responses that teach nothing lose their loss; rows off the subject go."""

from __future__ import annotations

import json

import pytest

from tests.factories import conversation, rows_frame
from tests.unit.prepare.preparing import answers, asked, step

GOOD = [
    "yes we can",
    "What a day!",
    "2 + 2 = 4",
    "Haha :)",
    "no no no",
    "one two three four five six seven eight nine ten eleven twelve",
    "我们今天去公园散步，然后在湖边吃午饭，晚上回家看电影。",
]


def test_ordinary_responses_stay() -> None:
    assert answers(step("relevance", asked(*GOOD))[0]) == GOOD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("k", "tooShort"),
        ("#$%^& @@@ ???", "symbols"),
        ("ink " * 20, "repetitive"),
        ("that is great, that is great, that is great, that is great", "repetitive"),
        ("hahahahahahahahahahahahaha", "repetitive"),
        ("x" * 100_001, "tooLong"),
    ],
)
def test_a_response_that_teaches_nothing_goes_with_its_reason(text: str, reason: str) -> None:
    _, tally = step("relevance", asked(text))
    assert tally.reasons == {reason: 1}


def test_a_sentence_that_breaks_off_goes_only_if_asked() -> None:
    rows = asked("I went to the", "no full stop here", "What are you made of it")
    assert len(answers(step("relevance", rows)[0])) == 3
    assert step("relevance", rows)[1].changed == {"incomplete": 1}
    assert answers(step("relevance", rows, {"incomplete": "Drop"})[0]) == [
        "no full stop here",
        "What are you made of it",
    ]


def test_keywords_and_topics_take_rows() -> None:
    rows = rows_frame(
        conversation("Any Casino near?", "Yes, two.", record=1),
        conversation("casinos", "x y z", record=2),
        conversation("a b", "c d", record=3, metadata=json.dumps({"topic": "spam"})),
    )
    batch, tally = step("relevance", rows, {"keywords": ["casino"], "topics": ["spam"]})
    assert batch.kept_rows()["record"].to_list() == [2]
    assert tally.reasons == {"keyword": 1, "topic": 1}


def test_in_a_longer_conversation_only_the_bad_response_loses_its_loss() -> None:
    batch, tally = step("relevance", rows_frame(conversation("a b", "k", "c d", "long enough")))
    assert batch.turns["train"].to_list() == [False, False, False, True]
    assert tally.changed["noTrain.tooShort"] == 1
    assert tally.entered == tally.left == 2
