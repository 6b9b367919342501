"""N-gram metrics of generated text: ROUGE, BLEU, chrF, all on a scale of 0 to 1.

They follow `rouge_score` (without stemming) and `sacrebleu` (its score divided by 100), which the tests compare with;
neither package is needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from harness.metrics.columns import accepted, texts
from harness.metrics.metric import Metric
from harness.metrics.text import TextMetric
from harness.predictions import Predictions
from harness.registry import metric
from harness.task import Row, Task

BLEU_ORDERS, CHRF_ORDERS = 4, 6
_NOT_ROUGE = re.compile(r"[^a-z0-9]+")
# mteval-v13a's rules (sacrebleu's default "13a"): entities, then punctuation set apart except inside numbers.
_ENTITIES = (("<skipped>", ""), ("-\n", ""), ("\n", " "), ("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_RULES_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def rouge_tokens(text: str) -> list[str]:
    """Lower-case runs of a-z and 0-9."""
    return _NOT_ROUGE.sub(" ", text.lower()).split()


def bleu_tokens(text: str) -> list[str]:
    """mteval-v13a tokens."""
    text = text.rstrip()
    for old, new in _ENTITIES:
        text = text.replace(old, new)
    text = f" {text} "
    for rule, new in _RULES_13A:
        text = rule.sub(new, text)
    return text.split()


def ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Its length, bit-parallel over `a` (Hyyro 2004): one big-integer step for each item of `b`."""
    places: dict[str, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | (1 << i)
    mask = (1 << len(a)) - 1
    row = mask
    for token in b:
        matched = row & places.get(token, 0)
        row = ((row + matched) | (row - matched)) & mask
    return len(a) - row.bit_count()


def _f1(shared: int, mine: int, right: int) -> float:
    return 2 * shared / (mine + right) if shared else 0.0


class _RougeN(TextMetric):
    order = 1

    def agreement(self, answer: str, gold: str) -> float:
        mine, right = (ngrams(rouge_tokens(text), self.order) for text in (answer, gold))
        return _f1(sum((mine & right).values()), sum(mine.values()), sum(right.values()))


@metric("rouge_1")
class Rouge1(_RougeN):
    """F-measure of shared words (ROUGE-1), lower case, no stemming; mean over examples."""


@metric("rouge_2")
class Rouge2(_RougeN):
    """F-measure of shared word pairs (ROUGE-2), lower case, no stemming; mean over examples."""

    order = 2


@metric("rouge_l")
class RougeL(TextMetric):
    """F-measure of the longest common subsequence of words (sentence-level ROUGE-L); mean over examples."""

    def agreement(self, answer: str, gold: str) -> float:
        mine, right = rouge_tokens(answer), rouge_tokens(gold)
        return _f1(longest_common_subsequence(mine, right), len(mine), len(right))


@metric("bleu")
class Bleu(Metric):
    """Corpus BLEU of up to 4-grams, 13a tokens, exponential smoothing: sacrebleu's score / 100.

    Statistics: clipped matches of orders 1-4, n-grams of orders 1-4, answer length, length of the closest accepted text.
    """

    undefined = "no example"
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        return np.array(
            [self._of(answer, accepted(row, task)) for answer, row in zip(texts(predictions), rows, strict=True)], dtype=np.float64
        )

    @staticmethod
    def _of(answer: str, golds: Sequence[str]) -> list[float]:
        mine, right = bleu_tokens(answer), [bleu_tokens(gold) for gold in golds]
        matches, totals = [], []
        for order in range(1, BLEU_ORDERS + 1):
            have = ngrams(mine, order)
            allowed: Counter[tuple[str, ...]] = Counter()
            for tokens in right:
                allowed |= ngrams(tokens, order)
            matches.append(float(sum((have & allowed).values())))
            totals.append(float(sum(have.values())))
        closest = min((abs(len(tokens) - len(mine)), len(tokens)) for tokens in right)[1]
        return [*matches, *totals, len(mine), closest]

    def value(self, sums: np.ndarray) -> np.ndarray:
        sums = np.asarray(sums, dtype=np.float64)
        matches, totals = sums[..., :BLEU_ORDERS], sums[..., BLEU_ORDERS : 2 * BLEU_ORDERS]
        length, reference = sums[..., -2], sums[..., -1]
        # Each order without a match halves the pretended count again (sacrebleu's "exp").
        pretended = 0.5 ** np.cumsum((matches == 0) & (totals > 0), axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.where(matches > 0, matches, pretended) / totals).mean(axis=-1)
            brevity = np.where(length < reference, 1 - reference / length, 0.0)
            found = np.exp(logs + brevity)
        possible = (totals > 0).all(axis=-1) & (matches > 0).any(axis=-1)
        return np.where(reference + length == 0, np.nan, np.where(possible, found, 0.0))


@metric("chrf")
class ChrF(Metric):
    """Corpus chrF2: character 1- to 6-grams without spaces, recall counted twice as much: sacrebleu's score / 100."""

    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        table = []
        for answer, row in zip(texts(predictions), rows, strict=True):
            candidates = [self._of(answer, gold) for gold in accepted(row, task)]
            table.append(max(candidates, key=lambda counted: float(self.value(np.array(counted)))))
        return np.array(table, dtype=np.float64)

    @staticmethod
    def _of(answer: str, gold: str) -> list[float]:
        mine, right = ("".join(text.split()) for text in (answer, gold))
        row: list[float] = []
        for order in range(1, CHRF_ORDERS + 1):
            have, want = (ngrams(text, order) for text in (mine, right))
            # sacrebleu: where the accepted text is too short for an order, the answer's n-grams do not count either.
            row += [float(sum(have.values())) if want else 0.0, float(sum(want.values())), float(sum((have & want).values()))]
        return [*row, 1.0]

    def value(self, sums: np.ndarray) -> np.ndarray:
        sums = np.asarray(sums, dtype=np.float64)
        counted = sums[..., :-1].reshape(*sums.shape[:-1], CHRF_ORDERS, 3)
        have, want, shared = counted[..., 0], counted[..., 1], counted[..., 2]
        effective = (have > 0) & (want > 0)
        orders = np.maximum(effective.sum(axis=-1), 1)
        precision = np.divide(shared, have, out=np.zeros_like(shared), where=effective).sum(axis=-1) / orders
        recall = np.divide(shared, want, out=np.zeros_like(shared), where=effective).sum(axis=-1) / orders
        weight = 4.0  # beta squared
        bottom = weight * precision + recall
        found = np.divide((1 + weight) * precision * recall, bottom, out=np.zeros_like(bottom), where=bottom > 0)
        return np.where(sums[..., -1] == 0, np.nan, found)
