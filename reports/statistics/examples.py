"""Standard errors over the examples of a run: plain, clustered, for groups of tasks, and with several answers per question."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .intervals import constant, mean_interval, t_interval
from .result import Floats, TestResult, as_vector


def clustered_mean(values: ArrayLike, cluster: ArrayLike, *, correction: Literal["CR1", "CR0"] = "CR1", level: float = 0.95) -> TestResult:
    """Mean of examples that come in clusters (passages, source images), with a t interval of C - 1 degrees of freedom.

    CR0 = sqrt(sum over clusters of (sum of y - mean in the cluster)^2) / E; CR1 = CR0 sqrt(C / (C - 1)). One cluster has no interval;
    an example without a cluster is an error, because leaving it out or giving it its own cluster would both be guesses.

    Source: Liang and Zeger 1986; Miller 2024 (arXiv 2411.00640).
    >>> round(clustered_mean([1, 1, 0, 1, 0, 0], ["a", "a", "b", "b", "c", "c"]).se, 4)
    0.2887
    """
    y, labels = as_vector(values), np.asarray(cluster)
    if labels.shape != y.shape:
        raise ValueError(f"{len(y)} values and clusters of shape {labels.shape}")
    if any(label is None or label != label for label in labels.tolist()):
        raise ValueError("an example has no cluster")
    present = np.isfinite(y)
    y, labels = y[present], labels[present]
    n, n_dropped = len(y), int(np.count_nonzero(~present))
    method = f"clustered mean ({correction})"
    _, position = np.unique(labels, return_inverse=True)
    n_clusters = int(position.max()) + 1 if n else 0
    if n_clusters < 2:
        return TestResult(
            method=method, n=n_clusters, generalise_over="examples", estimate=float(y.mean()) if n else None, level=level,
            n_dropped=n_dropped, degenerate="fewer than two clusters" if n else "no values",
        )  # fmt: skip
    sums = np.bincount(position, weights=y - y.mean())
    cr0 = 0.0 if constant(y) else math.sqrt(float((sums**2).sum())) / n
    cr1 = cr0 * math.sqrt(n_clusters / (n_clusters - 1))
    found = t_interval(
        float(y.mean()), cr1 if correction == "CR1" else cr0, n_clusters - 1,
        n=n_clusters, method=method, generalise_over="examples", level=level, n_dropped=n_dropped,
    )  # fmt: skip
    naive = float(y.std(ddof=1)) / math.sqrt(n)
    return replace(found, degenerate="zero variance" if cr0 == 0 else None, details={"naive_se": naive, "cr0": cr0, "cr1": cr1})


def group_mean(
    estimates: ArrayLike,
    standard_errors: ArrayLike,
    *,
    sizes: ArrayLike | None = None,
    weighting: Literal["macro", "micro"] = "macro",
    level: float = 0.95,
) -> TestResult:
    """Mean of task means and its standard error under the same weights, conditional on these tasks (normal interval).

    macro: sqrt(sum SE_t^2) / T; micro: sqrt(sum (n_t / n)^2 SE_t^2). A missing task makes the group undefined: a mean over the tasks
    present would be another quantity.

    >>> round(group_mean([0.8, 0.6], [0.02, 0.03]).se, 4)
    0.018
    """
    means, errors = as_vector(estimates, "estimates"), as_vector(standard_errors, "standard_errors")
    n = len(means)
    if weighting == "micro":
        if sizes is None:
            raise ValueError("micro weights need the sizes of the tasks")
        counts = as_vector(sizes, "sizes")
        weights = counts / counts.sum()
    else:
        weights = np.full(n, 1 / n) if n else np.zeros(0)
    method = f"{weighting} mean of task means"
    if not n or not np.isfinite(means).all():
        return TestResult(method=method, n=n, generalise_over="examples", level=level, degenerate="no values" if not n else "missing task")
    estimate = float(weights @ means)
    if not np.isfinite(errors).all():
        reason = "a task's standard error is undefined"
        return TestResult(method=method, n=n, generalise_over="examples", estimate=estimate, level=level, degenerate=reason)
    se = math.sqrt(float((weights**2) @ (errors**2)))
    return t_interval(estimate, se, math.inf, n=n, method=method, generalise_over="examples", level=level)


def resampled_questions_mean(answers: ArrayLike, *, level: float = 0.95) -> TestResult:
    """Mean over questions of K decoded answers each, [questions, answers]: average first, then the standard error over questions.

    Var = omega^2 / E + sigma^2 / (K E): sigma^2 is the variance of answers within a question, omega^2 that of questions' true means
    (0 if the estimate is negative). More answers per question cannot go under omega^2 / E.

    Source: Miller 2024 (arXiv 2411.00640), section on resampling.
    >>> found = resampled_questions_mean([[1, 1], [0, 1], [0, 0], [1, 0]])
    >>> found.estimate, found.details["sigma2"]
    (0.5, 0.25)
    """
    table = np.asarray(answers, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"[questions, answers] expected, got shape {table.shape}")
    found = mean_interval(table.mean(axis=1), level=level, generalise_over="examples")
    n_answers = table.shape[1]
    whole = table[np.isfinite(table).all(axis=1)]
    sigma2 = float(whole.var(axis=1, ddof=1).mean()) if n_answers > 1 and len(whole) else None
    omega2 = None
    if sigma2 is not None and len(whole) > 1:
        omega2 = max(float(whole.mean(axis=1).var(ddof=1)) - sigma2 / n_answers, 0.0)
    note = "one answer per question: its variance cannot be told from the questions'" if n_answers == 1 else None
    return replace(found, method="mean over questions", note=note, details={"sigma2": sigma2, "omega2": omega2, "answers": n_answers})


def pseudo_values(statistics: ArrayLike, value: Callable[[Floats], ArrayLike]) -> Floats:
    """Jackknife pseudo-values E T - (E - 1) T_(-i) of a metric of summed statistics [examples, k], shifted so that their mean is T itself; [examples].

    For a smooth function of sums (F1, MCC, BLEU) they behave as per-example scores do for a mean, so the tests over seeds and examples apply; the error
    of that is of the order 1 / E. An example with a missing statistic stays NaN; with fewer than two all are.
    Source: Tukey 1958; Efron and Tibshirani 1993, ch. 11.

    >>> pseudo_values([[1, 1], [0, 1], [1, 1], [1, 1]], lambda sums: sums[..., 0] / sums[..., 1]).round(6).tolist()
    [1.0, 0.0, 1.0, 1.0]
    """
    table = np.asarray(statistics, dtype=np.float64)
    result = np.full(len(table), np.nan)
    answered = np.isfinite(table).all(axis=1)
    n = int(answered.sum())
    if n < 2:
        return result
    sums = table[answered].sum(axis=0)
    whole = float(np.asarray(value(sums)))
    without = np.asarray(value(sums - table[answered]), dtype=np.float64)
    values = n * whole - (n - 1) * without
    result[answered] = values - values.mean() + whole
    return result
