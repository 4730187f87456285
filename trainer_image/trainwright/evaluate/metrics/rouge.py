"""ROUGE-1, -2 and -L, 0 to 1, as a module for `evaluate.load(path)`: rouge_score on words of any script.

The mean F1 over the rows. Where both texts of a row have fewer than two words there is no bigram: ROUGE-2 of that row
is its ROUGE-1, as BLEU's effective order does (Lin 2004 leaves it undefined).
"""

from __future__ import annotations

from importlib.metadata import version

import evaluate
from rouge_score.rouge_scorer import RougeScorer
from trainwright.evaluate.metric_info import metric_info
from trainwright.evaluate.words import folded_words

DESCRIPTION = "Mean F1 of ROUGE-1, -2 and -L from 0 to 1; words of any script without case and punctuation, no stemmer."
KINDS = ("rouge1", "rouge2", "rougeL")


class Words:
    """What rouge_score calls a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        return folded_words(text)


class Rouge(evaluate.Metric):  # type: ignore[misc]
    """`compute(predictions, references)` → {rouge1, rouge2, rougeL: 0..1, signature: how they were computed}."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION)

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float | str]:
        scorer = RougeScorer(list(KINDS), tokenizer=Words())
        sums = dict.fromkeys(KINDS, 0.0)
        for prediction, reference in zip(predictions, references, strict=True):
            score = scorer.score(reference, prediction)
            if max(len(folded_words(reference)), len(folded_words(prediction))) < 2:
                score["rouge2"] = score["rouge1"]
            for kind in KINDS:
                sums[kind] += float(score[kind].fmeasure)
        means: dict[str, float | str] = {kind: total / len(predictions) for kind, total in sums.items()}
        return means | {
            "signature": f"nrefs:1|case:folded|tok:words+characters|stem:no|score:f1|version:{version('rouge_score')}"
        }
