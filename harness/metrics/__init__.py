"""Metrics as per-example statistics and a value of their weighted sums. Offline: `evaluate.load` is never called.

>>> import harness.metrics as metrics
>>> metrics.get("f1_macro").higher_is_better
True
"""

from harness.metrics.evaluate_module import as_evaluate_module
from harness.metrics.lookup import get, names, score, values
from harness.metrics.metric import Metric

__all__ = ["Metric", "as_evaluate_module", "get", "names", "score", "values"]
