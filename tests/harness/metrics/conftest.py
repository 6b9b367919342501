"""Predictions, rows and a task from plain lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from harness.metrics import get
from harness.predictions import Predictions
from harness.registry import Entry
from harness.task import Row, Task


class Case:
    """One scored set: `statistics(name)`, `value(name, weights)`."""

    def __init__(self, targets: Sequence[Any], labels: int = 0, **answers: Any) -> None:
        ids = tuple(map(str, range(len(targets))))
        self.rows = [Row(i, {}, target) for i, target in zip(ids, targets, strict=True)]
        self.predictions = Predictions(ids, **answers)
        self.task = type("T", (Task,), {"entry": Entry("task", "t")})()
        self.task.labels = tuple(f"l{i}" for i in range(labels))

    def with_unknown(self, label: str) -> Case:
        """Its rows of this label belong to no known class."""
        self.task.unknown = label  # type: ignore[attr-defined]
        return self

    def statistics(self, name: str) -> np.ndarray:
        return get(name).statistics(self.predictions, self.rows, self.task)

    def value(self, name: str, weights: np.ndarray | None = None) -> float:
        table = self.statistics(name)
        weights = np.ones(len(table)) if weights is None else weights
        return float(get(name).value(weights @ table))


@pytest.fixture
def case() -> Callable[..., Case]:
    return Case
