"""language: recognised whatever the case; short or doubtful text is unknown, not foreign."""

from __future__ import annotations

from tests.unit.prepare.preparing import asked, questions_and_answers, step


def test_shouted_text_has_the_language_of_its_small_letters() -> None:
    batch, _ = step("language", questions_and_answers("shouted.jsonl"))
    lang = dict(batch.rows.select("record", "lang").iter_rows())
    assert [lang[n] for n in range(7)] == ["en", "en", "en", "en", "en", "es", "und"]


def test_only_languages_that_are_kept_stay() -> None:
    batch, tally = step("language", questions_and_answers("shouted.jsonl"), {"keep": ["en"]})
    assert sorted(batch.kept_rows()["record"]) == [0, 1, 2, 3, 4]
    assert tally.reasons == {"foreign": 1, "unknown": 1}


def test_unknown_text_stays_where_und_is_kept() -> None:
    batch, tally = step("language", questions_and_answers("shouted.jsonl"), {"keep": ["en", "es", "und"]})
    assert len(batch.kept_rows()) == 7
    assert not tally.reasons


def test_other_scripts_need_fewer_letters() -> None:
    batch, _ = step("language", asked("今天天气很好，我们去公园吧"))
    assert batch.rows["lang"].to_list() == ["zh"]
