"""What a method reaches for a given tuning budget, so that methods tuned for longer are not taken for better ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .result import Direction, Floats, TestResult, as_vector, orient


@dataclass(frozen=True, kw_only=True)
class BudgetCurve:
    """Expected best score of the first B of n tuning trials, B = 1 .. n.

    expected : [budgets]; low, high : interval over trials at each budget, NaN beyond n / 3, where fewer than three groups of B trials speak
    cost : [budgets], B times the mean cost of a trial, NaN where no cost was given
    """

    budget: Floats
    expected: Floats
    low: Floats
    high: Floats
    cost: Floats
    level: float
    n: int
    n_dropped: int = 0
    degenerate: str | None = None


def expected_best(
    values: ArrayLike,
    direction: Direction = "higher",
    *,
    with_replacement: bool = False,
    costs: ArrayLike | None = None,
    level: float = 0.95,
) -> BudgetCurve:
    """Expected best of B of n random trials, from the sorted scores v_(1) <= ... <= v_(n).

    without replacement (default, unbiased) : sum_i v_(i) C(i - 1, B - 1) / C(n, B), defined for B <= n;
    with replacement (Dodge et al. 2019) : sum_i v_(i) ((i/n)^B - ((i-1)/n)^B), biased downwards, offered because papers print it.
    values : [trials], dev scores of trials drawn independently from one search space; or [tasks, trials] where each task is tuned for itself: the best
        of B is taken per task and then averaged. A trial without a score (on some task) counts as dropped, not as a low score.
    costs : [trials], or one number that stands for all.

    Interval: -+ t SE with the jackknife's SE and n / B - 1 degrees of freedom, since n trials are n / B independent groups of B; at B = 1 the t
    interval of a mean. At B = n / 2 a bootstrap of trials misses the truth in 11 to 46 % of cases instead of 5
    (docs/statistics-calibration.md), because no resample holds a better trial than the best one seen.

    Source: Dodge et al. 2019, "Show your work"; Tang et al. 2020, "Showing your work doesn't always work"; Arvesen 1969 (jackknife of a U-statistic).

    >>> expected_best([0.61, 0.70, 0.55, 0.66, 0.73, 0.70]).expected.round(3)
    array([0.658, 0.699, 0.713, 0.72 , 0.725, 0.73 ])
    """
    table = np.atleast_2d(orient(values, direction))
    if table.ndim > 2:
        raise ValueError(f"values: [trials] or [tasks, trials] expected, got shape {table.shape}")
    present = np.asarray(np.isfinite(table).all(axis=0), dtype=bool)
    v = table[:, present]
    n, sign = v.shape[1], 1.0 if direction == "higher" else -1.0
    budget = np.arange(1, n + 1, dtype=np.float64)
    undefined = np.full(n, np.nan)
    cost = undefined
    if costs is not None and n:
        given = as_vector(costs)
        cost = budget * float((given[present] if len(given) == len(present) else given).mean())
    if n == 0:
        return BudgetCurve(
            budget=budget, expected=budget, low=budget, high=budget, cost=cost, level=level, n=0,
            n_dropped=len(present), degenerate="no finished trial",
        )  # fmt: skip
    weights = order_weights(n, with_replacement)  # [budgets, order statistics]
    expected = sign * _mean_best(v, weights)
    reach = _reach(v, with_replacement, level)
    return BudgetCurve(
        budget=budget, expected=expected, low=expected - reach, high=expected + reach, cost=cost, level=level, n=n,
        n_dropped=int(np.count_nonzero(~present)), degenerate="one trial" if n == 1 else None,
    )  # fmt: skip


def _reach(v: Floats, with_replacement: bool, level: float) -> Floats:
    """[budgets] half-widths of the intervals from [tasks, trials], NaN where fewer than three groups of B trials can be made."""
    n, few = v.shape[1], v.shape[1] // 3
    reach = np.full(n, np.nan)
    if few:
        weights = order_weights(n - 1, with_replacement)[:few]
        without = np.stack([_mean_best(np.delete(v, i, axis=1), weights) for i in range(n)])
        se = np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
        reach[:few] = se * special.stdtrit(n / np.arange(1, few + 1) - 1, (1 + level) / 2)
    return reach


def _mean_best(v: Floats, weights: Floats) -> Floats:
    """[budgets] expected best of each task's trials, averaged over tasks."""
    return np.asarray((np.sort(v, axis=1) @ weights.T).mean(axis=0))


def order_weights(n: int, with_replacement: bool = False) -> Floats:
    """Probability that the i-th smallest of n is the best of B, for every B (rows) and i (columns)."""
    i, b = np.arange(1, n + 1, dtype=np.float64), np.arange(1, n + 1, dtype=np.float64)[:, None]
    if with_replacement:
        return np.asarray((i / n) ** b - ((i - 1) / n) ** b)
    # C(i-1, B-1) / C(n, B) in logarithms: both overflow for a few hundred trials
    with np.errstate(invalid="ignore"):
        logs = (special.gammaln(i) - special.gammaln(b) - special.gammaln(np.maximum(i - b + 1, 1))) - (
            special.gammaln(n + 1) - special.gammaln(b + 1) - special.gammaln(n - b + 1)
        )
    return np.where(i >= b, np.exp(logs), 0.0)


def selection_gap(dev: ArrayLike, test: ArrayLike, direction: Direction = "higher") -> TestResult:
    """dev - test score of the trial that dev selected: how far the selected dev score overstates. The test score is the one to report.

    dev, test : [trials]; of equal best dev scores the first counts. details : the position selected, its test score, and the best test score of any
    trial (an oracle, never to be reported as the method's score).

    >>> selection_gap([0.70, 0.75], [0.71, 0.72]).estimate.__round__(3)
    0.03
    """
    a, b = orient(as_vector(dev), direction), orient(as_vector(test), direction)
    present = np.flatnonzero(np.isfinite(a))
    name, dropped = "selected dev score - its test score", len(a) - len(present)
    if not len(present):
        return TestResult(method=name, n=0, n_dropped=dropped, degenerate="no finished trial")
    chosen = int(present[np.argmax(a[present])])
    sign = 1.0 if direction == "higher" else -1.0
    tested = b[np.isfinite(b)]
    details = {
        "selected": float(chosen),
        "test_of_selected": sign * float(b[chosen]) if np.isfinite(b[chosen]) else None,
        "best_test": sign * float(tested.max()) if tested.size else None,
    }
    if not np.isfinite(b[chosen]):
        return TestResult(
            method=name, n=len(present), n_dropped=dropped, degenerate="the selected trial has no test score", details=details
        )
    return TestResult(method=name, n=len(present), n_dropped=dropped, estimate=sign * float(a[chosen] - b[chosen]), details=details)


def unequal_budgets(budgets: Mapping[str, float], *, tolerance: float = 0.1) -> list[str]:
    """Names whose tuning budget exceeds the smallest by more than `tolerance`: comparisons with them carry a mark.

    >>> unequal_budgets({"lora": 20, "prompt-tuning": 20, "bitfit": 60})
    ['bitfit']
    """
    if not budgets:
        return []
    least = min(budgets.values())
    return sorted(name for name, budget in budgets.items() if budget > least * (1 + tolerance))
