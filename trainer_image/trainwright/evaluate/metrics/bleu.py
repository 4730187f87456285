"""BLEU of a corpus, 0 to 1, as a module for `evaluate.load(path)`: sacrebleu on words of any script.

Effective order: a text too short for 4-grams is judged by the longest n-grams it has, so that a right answer of one
word scores 1 (Papineni et al. 2002; sacrebleu's own rule for single sentences, used here for the corpus too).
"""

from __future__ import annotations

import evaluate
from sacrebleu.metrics.bleu import BLEU
from trainwright.evaluate.metric_info import metric_info
from trainwright.evaluate.words import spaced_words

DESCRIPTION = "BLEU from 0 to 1 with effective order; 13a words, one word per character in scripts without spaces."


class Bleu(evaluate.Metric):  # type: ignore[misc]
    """`compute(predictions, references)` → {bleu: 0..1, signature: how it was computed}."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION)

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float | str]:
        bleu = BLEU(tokenize="none", force=True, effective_order=True)
        score = bleu.corpus_score(
            [spaced_words(text) for text in predictions], [[spaced_words(text) for text in references]]
        )
        signature = str(bleu.get_signature()).replace("tok:none", "tok:13a+characters")
        return {"bleu": min(1.0, float(score.score) / 100), "signature": signature}
