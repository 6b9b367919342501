"""One number per example from a metric's statistics, so that tests over examples apply to every metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import InputError
from harness.results import TaskScores

from ..statistics.examples import pseudo_values
from ..statistics.result import Floats


@dataclass(frozen=True)
class Examples:
    """values : [trials, examples], whose mean over examples is the trial's score; mean : the metric is such a mean by itself"""

    ids: tuple[str, ...]
    clusters: tuple[str, ...] | None
    position: Mapping[str, int]
    values: Floats
    mean: bool


def read_examples(scores: TaskScores) -> Examples | None:
    """Per-example values of a task's trials; None where the metric is neither a mean nor registered."""
    statistics = np.asarray(scores.values, dtype=np.float64)
    if statistics.ndim == 2:
        statistics = statistics[:, :, None]
    metric = find_metric(scores.metric)
    second = statistics[:, :, 1] if statistics.shape[2] > 1 else np.ones(statistics.shape[:2])
    looks_mean = statistics.shape[2] <= 2 and bool((second[np.isfinite(second)] == 1).all())
    if metric.mean if metric is not None else looks_mean:
        values, mean = statistics[:, :, 0], True
    elif metric is not None:
        values, mean = np.stack([pseudo_values(table, metric.value) for table in statistics]), False
    else:
        return None
    position = {trial: i for i, trial in enumerate(scores.trial_ids)}
    return Examples(tuple(scores.example_ids), scores.clusters, position, values, mean)


def find_metric(name: str) -> Any | None:
    """A registered metric, or None for one that only the imported results know."""
    from harness.metrics import get

    try:
        return get(name)
    except InputError:
        return None
