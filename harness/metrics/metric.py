"""The contract of a metric: per-example statistics and a value of their weighted sums.

Because the value depends on the examples only through weighted sums, every resampling (bootstrap, permutation, subsets) is
exact for F1, MCC and BLEU as well as for means.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from harness.predictions import Predictions
from harness.registry import Entry
from harness.task import Row, Task


class Metric:
    """Base of all metrics; subclasses are registered with `@metric(name)`."""

    entry: ClassVar[Entry]
    higher_is_better: ClassVar[bool] = True
    mean: ClassVar[bool] = False  # the value is the plain mean of one per-example number (column 0 over column 1, which is 1)
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)  # the smallest and largest value there can be

    @abstractmethod
    def statistics(self, predictions: Predictions, rows: Sequence[Row], task: Task) -> np.ndarray:
        """float64 [N, k]: what each example contributes. Row i answers predictions.ids[i]."""
        raise NotImplementedError

    def value(self, sums: np.ndarray) -> np.ndarray:
        """float64 [...]: the metric from weighted sums of statistics [..., k]; NaN where undefined (say why in `undefined`)."""
        raise NotImplementedError

    undefined: ClassVar[str] = "no example"
