"""What several metrics share: predicted and gold classes, ratios that are NaN over zero, accepted answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from harness.errors import InputError
from harness.predictions import Predictions
from harness.task import Row, Task


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """numerator / denominator, NaN where the denominator is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64))
    result: np.ndarray = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
    return result


def column_mean(sums: np.ndarray) -> np.ndarray:
    """Column 0 over column 1: the value of every metric whose `mean` is True."""
    return ratio(sums[..., 0], sums[..., 1])


def with_ones(numbers: Sequence[float] | np.ndarray) -> np.ndarray:
    """[N] -> [N, 2]: the number and a 1, so that the value is the weighted mean."""
    numbers = np.asarray(numbers, dtype=np.float64)
    return np.stack([numbers, np.ones_like(numbers)], axis=1)


def gold_classes(rows: Sequence[Row]) -> np.ndarray:
    """int64 [N]: the rows' class or choice indices."""
    for row in rows:
        if not isinstance(row.target, (int, np.integer)) or isinstance(row.target, bool):
            raise InputError(
                f"row {row.id!r} has no class index but {row.target!r}", key="metrics", expected="use a metric for texts or numbers"
            )
    return np.array([row.target for row in rows], dtype=np.int64)


def class_count(predictions: Predictions, task: Task) -> int:
    """The number of classes: declared labels, or as many as there are score columns."""
    if task.labels:
        return len(task.labels)
    return 0 if predictions.scores is None else int(predictions.scores.shape[1])


def log_probabilities(predictions: Predictions) -> np.ndarray:
    """float64 [N, C]: scores normalised over the classes of each example (-inf pads stay -inf)."""
    if predictions.scores is None:
        raise InputError("these predictions have no label scores", key="predictions")
    scores = np.asarray(predictions.scores, dtype=np.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    normalised: np.ndarray = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return normalised


def texts(predictions: Predictions) -> tuple[str, ...]:
    if predictions.texts is None:
        raise InputError("these predictions have no generated texts", key="predictions")
    return predictions.texts


def accepted(row: Row, task: Task) -> tuple[str, ...]:
    """The texts that count as right for a row, at least one; the task's answer filter is applied to them as to answers."""
    answers = (row.target,) if isinstance(row.target, str) else tuple(row.target) if isinstance(row.target, (list, tuple)) else ()
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise InputError(f"row {row.id!r} has no text as its target but {row.target!r}", key="metrics")
    return tuple(_filtered(answer, task.answer_filter) for answer in answers)


def _filtered(gold: str, pattern: str | None) -> str:
    """The last match of `pattern` (a worked solution's result), or gold as it is where nothing matches."""
    found = list(re.finditer(pattern, gold)) if pattern else []
    return (found[-1].group(1) if found[-1].re.groups else found[-1].group(0)).strip() if found else gold
