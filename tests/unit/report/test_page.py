"""report.html as text: what a reader finds on it, whatever the run has or lacks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from trainwright.report import run

from tests.sample_run import sample_facts, sample_run

HOSTILE = '</script><img src=x onerror="alert(1)"><script>alert(2)</script>&'


def page(
    folder: Path, facts: dict[str, Any] | None = None, *, without: tuple[str, ...] = (), examples: bool = True
) -> str:
    """The page of the sample run, changed as told."""
    config, inputs = sample_run(folder, facts)
    output = folder / "report"
    output.mkdir()
    run(config, {name: made for name, made in inputs.items() if name not in without}, output, examples=examples)
    return (output / "report.html").read_text("utf-8")


def visible(html: str) -> str:
    """The texts of a page with single blanks: what is in tags and tables, not the style and the script."""
    bare = re.sub(r"<(style|script).*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


def test_result_is_shown_before_and_after(tmp_path: Path) -> None:
    text = visible(page(tmp_path))
    assert "Validation loss 4.346 → before, now 3.750 −13.7 %" in text
    assert "Probes met 2 → before, now 3 of 3" in text
    assert "Yes, Earth is indeed a star" in text
    assert "No, Earth is a planet in the habitable zone of the Sun." in text


def test_every_stage_has_what_went_in_and_out_and_its_time(tmp_path: Path) -> None:
    text = visible(page(tmp_path))
    assert "131,699 → 124,811 exchanges: 122,193 train, 1,309 validation, 1,309 test 8.9 s" in text
    assert "31 steps, 205 tokens/s, all epochs done 2 min 35 s" in text


def test_every_drop_is_named_with_its_step(tmp_path: Path) -> None:
    text = visible(page(tmp_path))
    assert "Deduplicate 127,908 −3,097 124,811 exact duplicate 2,911, near duplicate 186" in text
    assert "Exact duplicate 2,911 deduplicate" in text
    assert "One speaker 3,150 left out" in text
    assert "Not text 2 could not be read" in text


def test_drops_of_tokenize_are_named_too(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["stages"]["tokenize"]["counts"]["dropped.exchangeTooLong"] = 31
    assert "Exchange too long 31 tokenize" in visible(page(tmp_path, facts))


def test_warnings_of_stages_are_at_the_top(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["stages"]["weights"]["metrics"]["warnings"] = ["temperature without sampling was removed"]
    text = visible(page(tmp_path, facts))
    assert text.index("weights temperature without sampling was removed") < text.index("Way of the run weights")


def test_sources_show_rows_repeats_never_seen_and_licence(tmp_path: Path) -> None:
    text = visible(page(tmp_path))
    assert "chitchat_dataset/dataset.json 131,569 122,063 0.0015 196 121,867 196 MIT" in text
    assert "trainwright/examples/facts.jsonl Train only 130 130 5 650 0 650 Apache-2.0" in text


def test_plan_stands_beside_what_happened(tmp_path: Path) -> None:
    text = visible(page(tmp_path))
    assert "Steps 30 31 × 1.03 estimated: tokens / batchTokens" in text
    assert "Time of train 2 min 28 s 2 min 35 s × 1.05" in text


def test_missed_gate_is_said_at_the_top(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["stages"]["evaluate"]["metrics"]["gates"][0] |= {"max": 40, "met": False}
    text = visible(page(tmp_path, facts))
    assert text.index("Gate missed: perplexity") < text.index("Validation loss")
    assert "Perplexity at most 40 43.43 ✗ missed" in text


def test_model_from_scratch_is_compared_with_unigram(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["spec"]["model"] = {"scratch": {"preset": "llama-tiny"}, "tokenizer": {"train": {"vocabularySize": 4096}}}
    del facts["spec"]["training"]["lora"]
    facts["stages"]["evaluate"]["metrics"]["before"] = None
    html = page(tmp_path, facts)
    assert "Below unigram 42.7 % unigram loss 6.548" in visible(html)
    assert 'class="level"' in html
    assert "llama-tiny (134.5 M parameters), trained from scratch" in visible(html)


def test_early_stopping_tells_what_it_did(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["spec"]["training"]["earlyStopping"] = {"patience": 3}
    facts["stages"]["train"]["metrics"] |= {"ended": "earlyStopping", "earlyStopping": {"bad": 3, "best": 3.75}}
    text = visible(page(tmp_path, facts))
    assert "Stopped early: 3 evaluations in a row were no better than 3.750." in text


def test_overfitting_is_a_warning(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["stages"]["evaluate"]["metrics"]["overfitting"] = {"signal": True, "message": "validation loss rose"}
    facts["stages"]["evaluate"]["metrics"]["gates"] = []
    text = visible(page(tmp_path, facts))
    assert "Signs of overfitting" in text
    assert "Overfitting: validation loss rose." in text


@pytest.mark.parametrize(
    ("goal", "missing"),
    [
        ("PrepareData", ("weights", "tokenize", "train", "evaluate")),
        ("Evaluate", ("index", "train", "export")),
    ],
)
def test_goals_without_training_have_a_page_without_curves(tmp_path: Path, goal: str, missing: tuple[str, ...]) -> None:
    facts = sample_facts()
    facts["spec"] = {"goal": goal, "data": facts["spec"]["data"]}
    if goal == "Evaluate":
        facts["spec"]["model"] = {"from": "./model"}
        facts["stages"]["evaluate"]["metrics"]["before"] = None
    html = page(tmp_path, facts, without=missing)
    assert 'id="curves"' not in html
    assert "From all exchanges to those kept" in html


def test_index_that_is_off_stands_on_the_way_as_off(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["spec"]["vectorStore"] = {"enabled": False}
    assert "index switched off" in visible(page(tmp_path, facts, without=("index",)))


@pytest.mark.parametrize("lost", ["plan", "files", "metrics", "everything"])
def test_page_is_made_of_what_there_is(tmp_path: Path, lost: str) -> None:
    facts = sample_facts()
    if lost == "plan":
        del facts["plan"]
    for made in facts["stages"].values():
        if lost in ("files", "everything"):
            made["files"] = {}
        if lost in ("metrics", "everything"):
            made["metrics"], made["counts"] = {}, {}
    assert "<h1>quickstart</h1>" in page(tmp_path, facts)


def test_figures_that_are_not_numbers_are_dashes(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["stages"]["evaluate"]["metrics"]["result"]["perplexity"] = None
    facts["stages"]["train"]["files"]["steps.jsonl"][3]["loss"] = float("nan")
    text = page(tmp_path, facts)
    assert "nan" not in visible(text).lower().split()
    assert "None" not in visible(text).split()


def test_page_without_examples_holds_no_text_of_rows_or_answers(tmp_path: Path) -> None:
    html = page(tmp_path, examples=False)
    for text in ("good movies", "busy with school", "Is Earth a star", "habitable zone"):
        assert text not in html
    assert "3 of 3" in visible(html)


def test_texts_of_rows_never_become_markup(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["spec"]["data"]["sources"][0]["license"] = HOSTILE[:64]
    prepare = facts["stages"]["prepare"]
    prepare["metrics"]["kept"] = {HOSTILE: {HOSTILE: 5}}
    prepare["metrics"]["languages"] = {HOSTILE: 3}
    prepare["files"]["steps.json"] = [{"step": HOSTILE, "in": 5, "out": 3, "reasons": {HOSTILE: 2}, "changed": {}}]
    facts["stages"]["ingest"]["files"]["sources.json"][0]["uri"] = HOSTILE
    facts["stages"]["evaluate"]["metrics"]["signatures"] = {HOSTILE: HOSTILE}
    facts["stages"]["evaluate"]["metrics"]["overfitting"]["message"] = HOSTILE
    for file in ("examples.json", "probes.json"):
        for example in facts["stages"]["evaluate"]["files"][file]:
            example.update(dict.fromkeys(("prompt", "reference", "before", "after", "contains"), HOSTILE))
    html = page(tmp_path, facts)
    assert "<img" not in html
    assert html.count("<script") == 1
    assert "&lt;img src=x" in html


def test_long_answers_are_cut_and_say_so(tmp_path: Path) -> None:
    facts = sample_facts()
    facts["stages"]["evaluate"]["files"]["examples.json"][0]["before"] = "word " * 2000
    html = page(tmp_path, facts)
    assert "word word…" in html or "word …" in html
    assert html.count("word ") < 300


def test_long_runs_make_a_small_page(tmp_path: Path) -> None:
    facts = sample_facts()
    line = facts["stages"]["train"]["files"]["steps.jsonl"][0]
    facts["stages"]["train"]["files"]["steps.jsonl"] = [line | {"step": step} for step in range(1, 20_001)]
    assert len(page(tmp_path, facts)) < 200_000


def test_page_names_nothing_outside_itself(tmp_path: Path) -> None:
    html = page(tmp_path)
    assert not re.search(r"""(src|href)=["'](?!#|data:,)""", html)
    assert "url(" not in html
    assert "@import" not in html


def test_tables_have_heads_that_say_what_they_head(tmp_path: Path) -> None:
    for table in re.findall(r"<table.*?</table>", page(tmp_path), re.DOTALL):
        assert '<th scope="col"' in table
        assert '<th scope="row"' in table
