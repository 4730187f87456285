"""BLEU, ROUGE and probes: what a right, a wrong and a half-right answer score, in any script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trainwright.evaluate.scores import score
from trainwright.evaluate.words import folded_words, spaced_words

EQUAL = json.loads(Path("tests/data/evaluate/equal_answers.json").read_text("utf-8"))


@pytest.mark.parametrize("pair", EQUAL, ids=[f"{pair['language']}-{n}" for n, pair in enumerate(EQUAL)])
def test_an_answer_equal_to_its_reference_scores_one_in_every_language(pair):
    text = pair["text"]
    assert score("bleu", [text], [text])["bleu"] == 1.0
    rouge = score("rouge", [text], [text])
    assert [rouge["rouge1"], rouge["rouge2"], rouge["rougeL"]] == [1.0, 1.0, 1.0]


def test_a_corpus_of_equal_answers_in_all_languages_scores_one():
    texts = [pair["text"] for pair in EQUAL]
    assert score("bleu", texts, texts)["bleu"] == 1.0
    assert score("rouge", texts, texts)["rougeL"] == 1.0


@pytest.mark.parametrize("right", ["今天天气很好", "تهران پایتخت است", "yes", "Bern is the capital."])
def test_a_wrong_answer_scores_zero(right):
    wrong = "完全不同" if right.startswith("今") else "nothing of it"
    assert score("bleu", [wrong], [right])["bleu"] == 0.0
    assert score("rouge", [wrong], [right])["rougeL"] == 0.0


def test_an_empty_answer_scores_zero():
    assert score("bleu", ["", "yes"], ["no idea at all", "yes"])["bleu"] < 1
    assert score("rouge", [""], ["yes"])["rougeL"] == 0.0


def test_half_a_chinese_answer_scores_between_zero_and_one():
    assert 0 < score("rouge", ["今天天气不好"], ["今天天气很好"])["rougeL"] < 1
    assert 0 < score("bleu", ["今天天气不好"], ["今天天气很好"])["bleu"] < 1


def test_english_scores_are_those_of_the_published_tools():
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    said = ["The cat sat on the mat, didn't it?", "A dog (big & old) runs at 3.5 km/h."]
    wanted = ["The cat sat quietly on a mat, didn't it?", "A big & old dog runs at 3.5 km/h."]
    assert score("bleu", said, wanted)["bleu"] == pytest.approx(sacrebleu.corpus_bleu(said, [wanted]).score / 100)
    published = [RougeScorer(["rougeL"]).score(b, a)["rougeL"].fmeasure for a, b in zip(said, wanted, strict=True)]
    assert score("rouge", said, wanted)["rougeL"] == pytest.approx(sum(published) / 2)


def test_words_follow_the_script_and_keep_their_marks():
    assert folded_words("Ich heiße 東京タワー über می‌روم") == ["ich", "heisse", *"東京タワー", "über", "می", "روم"]
    assert folded_words("ดีมาก") == ["ดี", "ม", "า", "ก"]
    assert spaced_words("Hi, 東京!") == "Hi , 東 京 !"


def test_composed_and_decomposed_letters_are_the_same():
    assert score("rouge", ["cafe\u0301"], ["café"])["rougeL"] == 1.0
    assert score("bleu", ["cafe\u0301"], ["café"])["bleu"] == 1.0


def test_signatures_name_tokeniser_order_and_version():
    bleu, rouge = score("bleu", ["a"], ["a"])["signature"], score("rouge", ["a"], ["a"])["signature"]
    assert "tok:13a+characters" in bleu and "eff:yes" in bleu and "version:" in bleu
    assert "tok:words+characters" in rouge and "stem:no" in rouge and "version:" in rouge


def test_a_probe_is_met_by_an_answer_that_contains_it_in_any_case():
    scored = score("probes", ["No, it is a PLANET.", "Yes."], ["planet", "Bern"])
    assert scored["probes"] == 0.5
    assert list(scored["met"]) == [True, False]


def test_without_answers_there_are_no_figures():
    assert score("bleu", [], []) == {"bleu": None}
