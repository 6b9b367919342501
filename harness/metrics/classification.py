"""Metrics of predicted classes. A class that occurs neither in gold nor in predictions does not enter a macro average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.errors import InputError
from harness.metrics.columns import class_count, column_mean, gold_classes, ratio, with_ones
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.registry import metric
from harness.task import Row, Task


def counts(predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
    """float64 [N, 3, C]: right as class c, predicted as c, and gold c, each 0 or 1."""
    width = class_count(predictions, task)
    predicted = np.eye(width)[predictions.classes]
    gold = np.eye(width)[gold_classes(rows)]
    return np.stack([predicted * gold, predicted, gold], axis=1)


class _ByClass(Metric):
    """Base: the statistics are right, predicted and gold counts of each class, [N, 3C]."""

    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        return counts(predictions, rows, task).reshape(len(rows), -1)

    @staticmethod
    def split(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[..., 3C] -> right, predicted, gold, each [..., C]."""
        right, predicted, gold = np.split(np.asarray(sums, dtype=np.float64), 3, axis=-1)
        return right, predicted, gold


@metric("accuracy")
class Accuracy(Metric):
    """Share of examples whose highest-scoring class or choice is gold."""

    mean = True
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        return with_ones(predictions.classes == gold_classes(rows))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)


@metric("accuracy_norm")
class AccuracyByLength(Metric):
    """Share of rows whose choice with the highest score per character is gold (lm-evaluation-harness's acc_norm).

    Scores must be log-probabilities of whole answers (`answer_score: joint`); the choices are the row's, else the labels.
    """

    mean = True
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        if predictions.scores is None:
            raise InputError("these predictions have no label scores", key="predictions")
        best = [self.best(scores, row.inputs.get("choices") or task.labels) for scores, row in zip(predictions.scores, rows, strict=True)]
        return with_ones(np.array(best) == gold_classes(rows))

    @staticmethod
    def best(scores: np.ndarray, choices: Sequence[str]) -> int:
        return int(np.argmax(scores[: len(choices)] / np.array([len(choice) for choice in choices])))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)


@metric("balanced_accuracy")
class BalancedAccuracy(_ByClass):
    """Mean recall over the classes that occur in gold."""

    def value(self, sums: np.ndarray) -> np.ndarray:
        right, _, gold = self.split(sums)
        return _mean_of_defined(ratio(right, gold))


@metric("f1_micro")
class F1Micro(_ByClass):
    """2 right / (predicted + gold) over all classes together; equal to accuracy where every example has one class."""

    def value(self, sums: np.ndarray) -> np.ndarray:
        right, predicted, gold = self.split(sums)
        return ratio(2 * right.sum(-1), predicted.sum(-1) + gold.sum(-1))


@metric("f1_macro")
class F1Macro(_ByClass):
    """Mean F1 over the classes that occur in gold or in predictions."""

    def value(self, sums: np.ndarray) -> np.ndarray:
        right, predicted, gold = self.split(sums)
        return _mean_of_defined(ratio(2 * right, predicted + gold))


@metric("f1")
class F1(Metric):
    """F1 of the positive label: the task's `positive` where it declares one, else its last label."""

    undefined = "the positive label occurs neither in gold nor in predictions"
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        declared = getattr(task, "positive", None)
        if declared is not None and declared not in task.labels:
            raise InputError(f"positive label {declared!r} is no label", key=task.name, expected=f"one of {', '.join(task.labels)}")
        position = task.labels.index(declared) if declared is not None else class_count(predictions, task) - 1
        return counts(predictions, rows, task)[:, :, position]

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


@metric("mcc")
class MatthewsCorrelation(_ByClass):
    """Matthews correlation for any number of classes (Gorodkin 2004), from right, predicted and gold counts."""

    undefined = "gold or predictions have only one class"
    bounds = (-1.0, 1.0)

    def value(self, sums: np.ndarray) -> np.ndarray:
        right, predicted, gold = self.split(sums)
        total = gold.sum(-1)
        covariance = right.sum(-1) * total - (predicted * gold).sum(-1)
        # Products before sums, so that one class alone gives an exact 0 and not a rounding error.
        spread = [np.maximum(total**2 - (side**2).sum(-1), 0) for side in (predicted, gold)]
        spread = [np.where(part > 1e-12 * total**2, part, 0) for part in spread]
        return ratio(covariance, np.sqrt(spread[0] * spread[1]))


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(-1), defined.sum(-1))
