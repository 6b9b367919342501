"""Metrics of label probabilities (scores normalised over an example's classes)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.metrics.columns import column_mean, gold_classes, log_probabilities, ratio, with_ones
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.registry import metric
from harness.task import Row, Task

BINS = 15


@metric("nll")
class NegativeLogLikelihood(Metric):
    """Mean of -log p(gold), in nats; infinite where gold was given probability 0."""

    higher_is_better = False
    mean = True
    bounds = (0.0, math.inf)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        return with_ones(-log_probabilities(predictions)[np.arange(len(rows)), gold_classes(rows)])

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)


@metric("brier")
class Brier(Metric):
    """Mean over examples of the squared distance between probabilities and gold, summed over classes (0 to 2; Brier 1950)."""

    higher_is_better = False
    mean = True
    bounds = (0.0, 2.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        distance = np.exp(log_probabilities(predictions))
        distance[np.arange(len(rows)), gold_classes(rows)] -= 1
        return with_ones((distance**2).sum(axis=1))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)


@metric("calibration_error")
class CalibrationError(Metric):
    """Expected calibration error: 15 bins of equal width over the top probability (Guo et al. 2017, eq. 3).

    A bin's weight cancels its own count, so the sums of (confidence - right) by bin and the number of examples suffice.
    """

    higher_is_better = False
    bounds = (0.0, 1.0)

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        confidence = np.exp(log_probabilities(predictions).max(axis=1))
        right = predictions.classes == gold_classes(rows)
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)  # bins are (low, high]
        table = np.zeros((len(rows), BINS + 1))
        table[np.arange(len(rows)), bins] = confidence - right
        table[:, BINS] = 1
        return table

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(np.abs(sums[..., :BINS]).sum(-1), sums[..., BINS])
