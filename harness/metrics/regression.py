"""Metrics of predicted numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.errors import InputError
from harness.metrics.columns import column_mean, ratio, with_ones
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.registry import metric
from harness.task import Row, Task


def _numbers(predictions: Predictions, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    if predictions.values is None:
        raise InputError("these predictions have no numbers", key="predictions")
    return np.asarray(predictions.values, dtype=np.float64), np.array([row.target for row in rows], dtype=np.float64)


def _moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def _correlation(sums: np.ndarray) -> np.ndarray:
    n, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        spread_x, spread_y = n * xx - x * x, n * yy - y * y
        # Rounding leaves a tiny spread where all numbers are equal: that is undefined, not a correlation of noise.
        constant = (spread_x <= 1e-12 * n * xx) | (spread_y <= 1e-12 * n * yy)
    spread = np.where(constant, 0, np.sqrt(np.abs(spread_x * spread_y)))
    result: np.ndarray = np.clip(ratio(n * xy - x * y, spread), -1, 1)
    return result


@metric("pearson")
class Pearson(Metric):
    """Pearson correlation, exact from sums of 1, x, y, x^2, y^2, xy."""

    undefined = "fewer than two different numbers in gold or predictions"
    bounds = (-1.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        return _moments(*_numbers(predictions, rows))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return _correlation(sums)


@metric("spearman")
class Spearman(Metric):
    """Spearman correlation. Ranks (ties averaged) are fixed once on the whole test set and centred.

    On the whole test set this is Spearman exactly. A resample or subset correlates the fixed ranks instead of ranking anew,
    because ranks of a resample are no weighted sum; the difference is of the order of one over the number of examples.
    """

    undefined = "fewer than two different numbers in gold or predictions"
    bounds = (-1.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        from scipy.stats import rankdata

        predicted, gold = _numbers(predictions, rows)
        middle = (len(rows) + 1) / 2
        return _moments(rankdata(predicted) - middle, rankdata(gold) - middle)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return _correlation(sums)


@metric("mse")
class MeanSquaredError(Metric):
    """Mean squared difference between prediction and gold."""

    higher_is_better = False
    mean = True
    bounds = (0.0, math.inf)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        predicted, gold = _numbers(predictions, rows)
        return with_ones((predicted - gold) ** 2)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)
