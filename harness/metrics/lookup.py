"""Finding metrics by name, and scoring predictions with one."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence

from harness.errors import InputError
from harness.metrics.metric import Metric
from harness.predictions import Predictions
from harness.registry import registered
from harness.task import Row, Task

MODULES = {
    "classification": ("accuracy", "accuracy_norm", "balanced_accuracy", "f1_micro", "f1_macro", "f1", "mcc"),
    "probability": ("nll", "brier", "calibration_error"),
    "text": ("exact_match", "squad_exact_match", "token_f1"),
    "overlap": ("rouge_1", "rouge_2", "rouge_l", "bleu", "chrf"),
    "regression": ("pearson", "spearman", "mse"),
    "open_set": (
        *(
            "auroc",
            "auroc_change",
            "auroc_right",
            "auroc_right_change",
            "oscr",
            "fpr95",
            "known_accuracy",
            "last_round_accuracy",
            "accuracy_drift",
        ),
        *("kept_precision", "kept_recall"),
    ),
}
_home = {name: module for module, members in MODULES.items() for name in members}


def names() -> tuple[str, ...]:
    """The metrics that come with the harness."""
    return tuple(sorted(_home))


def get(name: str) -> Metric:
    """The metric called `name`: one of ours, or one that the catalog finds in an outsider's package or file."""
    if name in _home:
        importlib.import_module(f"harness.metrics.{_home[name]}")
    found = registered("metric", name)
    if found is None:
        from harness import catalog

        found = catalog.load("metric", name)
    metric: Metric = found()
    return metric


def score(metric: str | Metric, predictions: Predictions, rows: Sequence[Row], task: Task) -> float | None:
    """The metric on all examples; None where it is undefined (`metric.undefined` says why)."""
    metric = get(metric) if isinstance(metric, str) else metric
    if tuple(row.id for row in rows) != predictions.ids:
        raise InputError("the rows are not those that the predictions answer, in order", key="predictions")
    if not rows:
        return None
    value = float(metric.value(metric.statistics(predictions, rows, task).sum(axis=0)))
    return None if math.isnan(value) else value


def values(wanted: Iterable[str], predictions: Predictions, rows: Sequence[Row], task: Task) -> dict[str, float | None]:
    """Several metrics at once, by name."""
    return {name: score(name, predictions, rows, task) for name in wanted}
