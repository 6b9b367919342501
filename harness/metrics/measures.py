"""Means of numbers that a subject or its protocol measured of every example (`Predictions.measures`), under the measure's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from harness.errors import InputError
from harness.metrics.columns import column_mean
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.task import Row, Task


class MeasuredMean(Metric):
    """Base: the mean over the examples where the measure of the metric's own name is defined. Register one with `@metric(name)`."""

    undefined: ClassVar[str] = "no example where it is defined"

    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        name = self.entry.name
        if name not in predictions.measures:
            raise InputError(f"these predictions have no {name}", key="metrics", expected="a method and a task that measure it")
        numbers = np.asarray(predictions.measures[name], dtype=np.float64)
        defined = ~np.isnan(numbers)
        return np.stack([np.where(defined, numbers, 0.0), defined.astype(np.float64)], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return column_mean(sums)
