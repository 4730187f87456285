"""offensive: whole words in three tiers; the spec's action follows the severe ones only."""

from __future__ import annotations

import pytest
from trainwright.formats.rows import FLAG_OFFENSIVE
from trainwright.prepare.lexicon import Lexicon
from trainwright.prepare.steps.offensive import lexicons

from tests.factories import conversation, rows_frame
from tests.unit.prepare.preparing import answers, asked, step


def test_words_are_found_whole_and_in_any_case() -> None:
    batch, tally = step("offensive", asked("What an ASSHOLE.", "Scunthorpe has a fine class of cockatoos", "Fine."))
    assert answers(batch) == ["Scunthorpe has a fine class of cockatoos", "Fine."]
    assert tally.reasons == {"severe": 1}


def test_crude_words_are_flagged_and_ambiguous_ones_only_counted() -> None:
    batch, tally = step("offensive", asked("damn good", "kill the process"))
    assert batch.turns.filter(batch.turns["flags"] == FLAG_OFFENSIVE)["content"].to_list() == ["damn good"]
    assert tally.changed == {"crude": 1, "ambiguous": 1}
    assert not tally.reasons


def test_no_tier_holds_a_word_by_which_people_name_themselves() -> None:
    named = "gay lesbian queer muslim christian jew jewish black white asian arab gypsy woman man trans deaf blind old"
    texts = asked(*named.split()).explode("messages").unnest("messages")["content"]
    for lexicon in lexicons(None).values():
        assert len(lexicon.places(texts)) == 0


@pytest.mark.parametrize(
    ("action", "contents", "trained"),
    [
        ("Drop", [], 0),
        ("Cut", ["Hi", "Hello."], 1),
        ("NoTrain", ["Hi", "Hello.", "fuck you", "Please be kind."], 1),
        ("Mask", ["Hi", "Hello.", "****", "Please be kind."], 2),
        ("Keep", ["Hi", "Hello.", "fuck you", "Please be kind."], 2),
    ],
)
def test_actions_on_a_hit_in_the_prompt(action: str, contents: list[str], trained: int) -> None:
    rows = rows_frame(conversation("Hi", "Hello.", "fuck you", "Please be kind."))
    batch, _ = step("offensive", rows, {"action": action})
    assert batch.turns["content"].to_list() == contents
    assert batch.turns["train"].sum() == trained


def test_a_list_of_ones_own_replaces_the_built_in_one() -> None:
    batch, tally = step("offensive", asked("Pure Élan vital", "asshole"), lexicon=("élan vital",))
    assert answers(batch) == ["asshole"]
    assert tally.reasons == {"severe": 1}


def test_system_turns_and_tools_are_not_judged() -> None:
    rows = rows_frame(conversation(("system", "never say fuck you"), "x", ("tool", "fuck you"), "ok"))
    _, tally = step("offensive", rows)
    assert not tally.reasons


def test_phrases_may_be_broken_by_a_line_and_words_may_go_on() -> None:
    texts = asked("kill\n yourself", "wankers", "bankers").explode("messages").unnest("messages")
    found = Lexicon(["kill yourself", "wanker*"]).places(texts["content"])
    assert sorted(texts["content"].gather(found)) == ["kill\n yourself", "wankers"]
