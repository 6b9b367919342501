"""Our metrics as `evaluate.EvaluationModule`s, made here and offline; `evaluate.load` is never called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import InputError
from harness.metrics.lookup import MODULES, get
from harness.predictions import Predictions
from harness.registry import Entry
from harness.task import Row, Task

if TYPE_CHECKING:
    import evaluate

_FORMS = {
    "classification": ("int64", "int64"),
    "regression": ("float64", "float64"),
    "text": ("string", "string"),
    "overlap": ("string", "string"),
}


class _Bare(Task):
    """A task that is nothing but its number of classes."""

    entry = Entry("task", "evaluate-module")

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.labels = tuple(map(str, range(classes)))

    def pool(self) -> tuple[Row, ...]:
        return ()

    def test(self) -> tuple[Row, ...]:
        return ()


def _scores(predictions: list[Any], references: list[Any]) -> tuple[np.ndarray, int]:
    """Class indices become one-hot scores (0 and -inf); lists of scores stay."""
    table = np.asarray(predictions, dtype=np.float64)
    if table.ndim == 2:
        return table, int(table.shape[1])
    classes = int(max(*predictions, *references)) + 1
    return np.where(np.eye(classes)[np.asarray(predictions, dtype=int)] > 0, 0.0, -np.inf), classes


def compute(name: str, predictions: list[Any], references: list[Any]) -> float:
    """The metric on plain lists: class indices, score lists, texts or numbers, against gold; NaN where undefined."""
    metric, module = get(name), next((module for module, members in MODULES.items() if name in members), "classification")
    ids = tuple(str(i) for i in range(len(references)))
    rows = [Row(i, {}, reference) for i, reference in zip(ids, references, strict=True)]
    task = _Bare(0)
    if module in ("text", "overlap"):
        answers = Predictions(ids, texts=tuple(predictions))
    elif module == "regression":
        answers = Predictions(ids, values=np.asarray(predictions, dtype=np.float64))
    else:
        scores, classes = _scores(predictions, references)
        answers, task = Predictions(ids, scores=scores), _Bare(classes)
    return float(metric.value(metric.statistics(answers, rows, task).sum(axis=0)))


def as_evaluate_module(name: str) -> evaluate.EvaluationModule:
    """`name` as an `evaluate` metric: `.compute(predictions=..., references=...)` -> {name: value}, no network and no cache file.

    Predictions are class indices, texts or numbers; for `nll`, `brier` and `calibration_error` lists of label scores.
    """
    import datasets
    import evaluate

    doc = (type(get(name)).__doc__ or "").strip()
    module = next((module for module, members in MODULES.items() if name in members), "classification")
    if module == "open_set":
        raise InputError(f"{name} needs a task that says what is unknown and when it was asked", expected="score a stream task with it")

    class Exported(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> evaluate.MetricInfo:
            gold, answer = _FORMS.get(module, ("int64", "float64"))
            one = datasets.Value(answer)
            features = datasets.Features(
                {"predictions": one if module in _FORMS else datasets.Sequence(one), "references": datasets.Value(gold)}
            )
            return evaluate.MetricInfo(description=doc, citation="", features=features)

        def _compute(self, *, predictions: list[Any], references: list[Any]) -> dict[str, float]:
            return {name: compute(name, predictions, references)}

    return Exported(module_type="metric", keep_in_memory=True, config_name=name)
