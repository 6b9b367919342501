"""Metrics of answers to a stream in which some examples belong to no known class (their gold is the label the task calls `unknown`).

Confidence is the largest probability over the labels (MSP, Hendrycks and Gimpel 2017). Most of these metrics compare every known example
with every unknown one, so they are no means over examples. Each is exact on the whole test set. Under a resample or a subset the two
pairwise ones (AUROC, OSCR) use their first-order projection on single examples, whose variance is DeLong's (1988), and FPR95 keeps the
threshold of the whole set, because anew ranked pairs are no weighted sum. The difference is of the order of one over the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.metrics.columns import gold_classes, log_probabilities, ratio
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.registry import metric
from harness.task import Row, Task

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def unknown_rows(rows: Sequence[Row], task: Task) -> Flags:
    """bool [N] whose gold is the label that the task declares as `unknown`; none are where it declares none."""
    name = getattr(task, "unknown", None)
    if name is None:
        return np.zeros(len(rows), dtype=bool)
    if name not in task.labels:
        raise InputError(f"unknown label {name!r} is no label", key=task.name, expected=f"one of {', '.join(task.labels)}")
    return np.asarray(gold_classes(rows) == task.labels.index(name))


def right_answers(predictions: Predictions, rows: Sequence[Row], task: Task) -> Flags:
    """bool [N] known examples whose highest-scoring label is gold."""
    return np.asarray((predictions.classes == gold_classes(rows)) & ~unknown_rows(rows, task))


def confidence(predictions: Predictions) -> Floats:
    """float64 [N] probability of the highest-scoring label."""
    return np.asarray(np.exp(log_probabilities(predictions).max(axis=1)), dtype=np.float64)


def pairwise(higher: Floats, lower: Floats, counts: Flags | None = None) -> tuple[Floats, Floats]:
    """For each of `higher`, the share of `lower` it exceeds; for each of `lower`, the share of `higher` that exceed it; ties count half.

    counts : which of `higher` can exceed anything at all. The mean of either array is the pairwise statistic.
    """
    weights = np.ones(len(higher)) if counts is None else counts.astype(np.float64)
    ordered = np.sort(lower)
    above = (np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")) / 2
    order = np.argsort(higher, kind="stable")
    ranked, total = higher[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    below = (total[np.searchsorted(ranked, lower, "left")] + total[np.searchsorted(ranked, lower, "right")]) / 2
    return weights * above / max(1, len(lower)), (total[-1] - below) / max(1, len(higher))


class _Pairwise(Metric):
    """Base: statistics [N, 5]: the example's share of won pairs, as a known and as an unknown one, each with its count, and the whole value."""

    undefined: ClassVar[str] = "no known or no unknown example, or nothing to rank them by"
    bounds = (0.0, 1.0)

    def ranked_by(self, predictions: Predictions) -> Floats:
        return confidence(predictions)

    def to_reject(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> Flags:
        """bool [N] the examples that should rank below the others."""
        return unknown_rows(rows, task)

    def counting(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> Flags | None:
        return None

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        scores, unknown = self.ranked_by(predictions), self.to_reject(predictions, rows, task)
        table = np.zeros((len(rows), 5))
        if np.isnan(scores).any() or unknown.all() or not unknown.any():
            return table
        counts = self.counting(predictions, rows, task)
        won, lost = pairwise(scores[~unknown], scores[unknown], None if counts is None else counts[~unknown])
        table[~unknown, 0], table[~unknown, 1] = won, 1
        table[unknown, 2], table[unknown, 3] = lost, 1
        table[:, 4] = won.mean()
        return table

    def value(self, sums: np.ndarray) -> np.ndarray:
        examples = sums[..., 1] + sums[..., 3]
        projected: np.ndarray = ratio(sums[..., 0], sums[..., 1]) + ratio(sums[..., 2], sums[..., 3]) - ratio(sums[..., 4], examples)
        return projected


@metric("auroc")
class Auroc(_Pairwise):
    """Chance that a known example is answered with more confidence than an unknown one."""


@metric("auroc_change")
class AurocOfChange(_Pairwise):
    """The same ranked by how much adaptation raised the confidence in the source model's answer (measure `confidence_change`)."""

    undefined: ClassVar[str] = "the method compares with no source model, or there is no known or no unknown example"

    def ranked_by(self, predictions: Predictions) -> Floats:
        return np.asarray(predictions.measures.get("confidence_change", np.full(len(predictions.ids), np.nan)), dtype=np.float64)


@metric("auroc_right")
class AurocOfRight(Auroc):
    """Chance that a right answer is given with more confidence than a wrong one, or than any answer to an unknown example."""

    undefined: ClassVar[str] = "every answer is right, or none is"

    def to_reject(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> Flags:
        return ~right_answers(predictions, rows, task)


@metric("auroc_right_change")
class AurocOfRightByChange(AurocOfChange, AurocOfRight):
    """The same ranked by the change of confidence: what a filter on its sign goes by."""

    undefined: ClassVar[str] = "the method compares with no source model, or every answer is right, or none is"


@metric("oscr")
class Oscr(_Pairwise):
    """Area under the open-set classification rate: chance that a known example is answered right and with more confidence than an unknown one.

    Dhamija et al. 2018 (arXiv 1811.04110) draw the curve, the rate of right answers against the rate of accepted unknowns; its area, ties
    taken half, is this pairwise chance.
    """

    def counting(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> Flags | None:
        return right_answers(predictions, rows, task)


@metric("fpr95")
class FalsePositives(Metric):
    """Share of unknown examples accepted at the highest threshold of confidence that accepts at least 95% of the known ones."""

    higher_is_better = False
    undefined: ClassVar[str] = "no known or no unknown example"
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        scores, unknown = confidence(predictions), unknown_rows(rows, task)
        table = np.zeros((len(rows), 2))
        if unknown.all() or not unknown.any():
            return table
        known = np.sort(scores[~unknown])
        threshold = known[int(np.floor(0.05 * len(known) + 1e-9))]
        table[:, 0], table[:, 1] = unknown & (scores >= threshold), unknown
        return table

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])


@metric("known_accuracy")
class KnownAccuracy(Metric):
    """Share of the known examples that are answered right; unknown ones have no weight."""

    undefined: ClassVar[str] = "no known example"
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        return np.stack([right_answers(predictions, rows, task), ~unknown_rows(rows, task)], axis=1).astype(np.float64)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])


def _rounds(predictions: Predictions) -> Floats:
    """float64 [N] the round each example was asked in, 0 where there is but one."""
    return np.asarray(predictions.measures.get("round", np.zeros(len(predictions.ids))), dtype=np.float64)


@metric("last_round_accuracy")
class LastRoundAccuracy(KnownAccuracy):
    """Accuracy on known examples in the last round of the stream: what long adaptation ends with."""

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        rounds = _rounds(predictions)
        table = super().statistics(predictions, rows, task)
        return np.asarray(table * (rounds == rounds.max(initial=0))[:, None])


@metric("accuracy_drift")
class AccuracyDrift(Metric):
    """Accuracy on known examples in the last round minus that in the first: negative where long adaptation does harm."""

    undefined: ClassVar[str] = "one round, or no known example"
    bounds = (-1.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        rounds = _rounds(predictions)
        last = rounds.max(initial=0)
        both = np.stack([right_answers(predictions, rows, task), ~unknown_rows(rows, task)], axis=1).astype(np.float64)
        if last == 0:
            return np.zeros((len(rows), 4))
        return np.concatenate([both * (rounds == last)[:, None], both * (rounds == 0)[:, None]], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        change: np.ndarray = ratio(sums[..., 0], sums[..., 1]) - ratio(sums[..., 2], sums[..., 3])
        return change


class _Kept(Metric):
    """Base: right answers among the examples a method adapted on (measure `kept`, 1 or 0)."""

    undefined: ClassVar[str] = "the method chooses nothing to adapt on, or chose nothing, or no answer is right"
    of: ClassVar[str]
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        kept = np.asarray(predictions.measures.get("kept", np.full(len(rows), np.nan)), dtype=np.float64)
        if np.isnan(kept).any():
            return np.zeros((len(rows), 2))
        right = right_answers(predictions, rows, task)
        return np.stack([kept * right, kept if self.of == "kept" else right], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])


@metric("kept_precision")
class KeptPrecision(_Kept):
    """Share of the examples adapted on that are known and answered right (an unknown example never is)."""

    of = "kept"


@metric("kept_recall")
class KeptRecall(_Kept):
    """Share of the right answers to known examples that were adapted on."""

    of = "right"
