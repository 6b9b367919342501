"""A cell's scores as tables [seeds, examples] whose row means are the seeds' scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.results import Results, TaskScores

from ..statistics.result import Floats
from .cells import CellSide

Value = Callable[[Floats], Floats]
AGREES = 1e-6  # between a stored score and the same score recomputed from its examples


@dataclass(frozen=True)
class ExampleTable:
    """values : [seeds, examples] of the metric, NaN where an example was not answered.  statistics : [seeds, examples, k] they came from."""

    values: Floats
    statistics: Floats
    examples: tuple[str, ...]
    clusters: tuple[str, ...] | None

    def select(self, examples: list[str]) -> ExampleTable:
        position = {name: i for i, name in enumerate(self.examples)}
        kept = [position[name] for name in examples]
        clusters = None if self.clusters is None else tuple(self.clusters[i] for i in kept)
        return ExampleTable(self.values[:, kept], self.statistics[:, kept], tuple(examples), clusters)


class Tables:
    """Finds the tables of one results view; trial positions are looked up once."""

    def __init__(self, results: Results) -> None:
        self._scores: Mapping[str, TaskScores] = results.scores
        self._rows = {task: {trial: i for i, trial in enumerate(scores.trial_ids)} for task, scores in results.scores.items()}

    def of(self, side: CellSide) -> ExampleTable | None:
        """The table of the seeds that have a score; None where not all of them keep examples, or the score is no function of them."""
        task, metric = str(side.first("task")), str(side.first("metric"))
        found = self._scores.get(task)
        rows = [self._rows[task].get(trial, -1) for trial in (row["trial_id"] for row in side.ok)] if found is not None else []
        if found is None or found.metric != metric or not rows or min(rows) < 0:
            return None
        statistics = np.asarray(found.values, dtype=np.float64)[rows]
        values = per_example(statistics, metric, side.scores)
        if values is None:
            return None
        table = ExampleTable(values, statistics, tuple(found.example_ids), found.clusters)
        # the task's other trials may have been asked about more examples
        asked: NDArray[np.bool_] = np.asarray(np.isfinite(values).any(axis=0))
        return table if asked.all() else table.select([name for name, kept in zip(table.examples, asked) if kept])


def per_example(statistics: Floats, metric: str, scores: Floats) -> Floats | None:
    """[seeds, examples, k] -> [seeds, examples] with the seeds' scores as row means; None where the examples do not give the score.

    A mean is its own examples' values. For F1, BLEU and the like each example's value is theta + (E - 1) (mean of theta_(-e) - theta_(-e)),
    the jackknife's linearisation, whose crossed components are those of the metric to first order.

    Source: Miller 1974, "The jackknife: a review".
    """
    value, is_mean = _metric(metric)
    answered: NDArray[np.bool_] = np.asarray(np.isfinite(statistics).all(axis=2))
    if is_mean:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = statistics[..., 0] / statistics[..., 1] if statistics.shape[2] > 1 else statistics[..., 0].copy()
        values[~answered] = np.nan
    elif value is not None:
        values = _linearised(np.where(answered[..., None], statistics, 0.0), answered, value)
    else:
        return None
    counted = answered.sum(axis=1)
    if not counted.all():
        return None
    means = np.where(answered, values, 0.0).sum(axis=1) / counted
    return values if np.all(np.abs(means - scores) <= AGREES * np.maximum(1.0, np.abs(scores))) else None


def _metric(name: str) -> tuple[Value | None, bool]:
    """The metric's value of summed statistics, and whether it is a plain mean; an unknown metric is tried as a mean and checked."""
    from harness import metrics

    try:
        found = metrics.get(name)
    except InputError:
        return None, True
    return found.value, found.mean


def _linearised(statistics: Floats, answered: NDArray[np.bool_], value: Value) -> Floats:
    sums = statistics.sum(axis=1, keepdims=True)
    whole = value(sums)  # [seeds, 1]
    without = value(sums - statistics)
    n = answered.sum(axis=1, keepdims=True)
    centre = np.where(answered, without, 0.0).sum(axis=1, keepdims=True) / n
    return np.where(answered, whole + (n - 1) * (centre - without), np.nan)
