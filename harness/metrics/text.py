"""Metrics of generated answers against accepted texts: the best accepted text counts."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from harness.metrics.columns import accepted, column_mean, texts, with_ones
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.registry import metric
from harness.task import Row, Task

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normalised(text: str) -> str:
    """Lower case without ASCII punctuation, articles and repeated spaces (the SQuAD 1.1 evaluation script's order)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


class TextMetric(Metric):
    """Base of metrics that are the mean of one number per answer, the best over the accepted texts."""

    mean = True
    bounds = (0.0, 1.0)

    def agreement(self, answer: str, gold: str) -> float:
        raise NotImplementedError

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        pairs = zip(texts(predictions), rows, strict=True)
        return with_ones([max(self.agreement(answer, gold) for gold in accepted(row, task)) for answer, row in pairs])

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)


@metric("exact_match")
class ExactMatch(TextMetric):
    """The answer equals an accepted text, letter by letter, apart from space around it."""

    normalise: Callable[[str], str] = staticmethod(str.strip)

    def agreement(self, answer: str, gold: str) -> float:
        return float(self.normalise(answer) == self.normalise(gold))


@metric("squad_exact_match")
class SquadExactMatch(ExactMatch):
    """Exact match after SQuAD's normalisation: case, punctuation, articles and repeated spaces do not count."""

    normalise = staticmethod(squad_normalised)


@metric("token_f1")
class TokenF1(TextMetric):
    """SQuAD's F1: overlap of normalised words as bags; two empty texts agree, an empty one with another does not."""

    def agreement(self, answer: str, gold: str) -> float:
        mine, right = squad_normalised(answer).split(), squad_normalised(gold).split()
        if not mine or not right:
            return float(mine == right)
        shared = sum((Counter(mine) & Counter(right)).values())
        return 2 * shared / (len(mine) + len(right))
