"""Intervals of ranks that hold for all methods at once, and what a board prints for methods that cannot be told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .ranks import competition_ranks
from .result import N_RESAMPLES, Direction, Floats, orient, rounded_difference


@dataclass(frozen=True, kw_only=True)
class PairwiseIntervals:
    """Intervals for all differences of two methods that hold jointly with probability `level`.

    difference, lower, upper : [methods, methods], row minus column, positive where the row is better; NaN where undefined
    critical_value : the multiple of the standard error, common to all pairs
    """

    difference: Floats
    lower: Floats
    upper: Floats
    level: float
    critical_value: float | None
    n_tasks: int
    n_dropped: int
    n_resamples: int
    degenerate: str | None = None


def simultaneous_pairwise_intervals(
    scores: ArrayLike,
    direction: Direction = "higher",
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
) -> PairwiseIntervals:
    """Differences of task means +- c SE with one c for all pairs: the level-quantile of max |t_ij|.

    scores : [tasks, methods]; tasks with a missing cell are dropped and counted.
    The quantile is that of a multivariate t with T - 1 degrees of freedom and the correlations estimated from the tasks (the parametric form of
    Hothorn, Bretz and Westfall 2008), found by weighting the residuals of the tasks with normal draws; with few tasks resampling tasks would be too narrow.

    >>> scores = np.array([[0.8, 0.7], [0.9, 0.7], [0.7, 0.6], [0.9, 0.8]])
    >>> simultaneous_pairwise_intervals(scores, rng=np.random.default_rng(0)).lower.round(2)
    array([[ 0.  ,  0.05],
           [-0.2 ,  0.  ]])
    """
    table = orient(scores, direction)
    if table.ndim != 2:
        raise ValueError(f"scores: [tasks, methods] expected, got shape {table.shape}")
    complete = table[np.isfinite(table).all(axis=1)]
    n_tasks, n_methods = complete.shape
    undefined = np.full((n_methods, n_methods), np.nan)
    dropped = len(table) - n_tasks
    if n_tasks < 2 or n_methods < 2:
        reason = "fewer than two complete tasks" if n_tasks < 2 else "one method"
        return PairwiseIntervals(
            difference=undefined, lower=undefined, upper=undefined, level=level, critical_value=None,
            n_tasks=n_tasks, n_dropped=dropped, n_resamples=0, degenerate=reason,
        )  # fmt: skip
    differences = rounded_difference(complete[:, :, None], complete[:, None, :])
    mean, error = differences.mean(axis=0), differences.std(axis=0, ddof=1) / np.sqrt(n_tasks)
    critical, drawn = _max_t_quantile(complete, error, rng, level, n_resamples)
    return PairwiseIntervals(
        difference=mean,
        lower=mean - critical * error,
        upper=mean + critical * error,
        level=level,
        critical_value=critical,
        n_tasks=n_tasks,
        n_dropped=dropped,
        n_resamples=drawn,
    )


def _max_t_quantile(table: Floats, error: Floats, rng: np.random.Generator, level: float, n_resamples: int) -> tuple[float, int]:
    n_tasks, n_methods = table.shape
    first, second = np.triu_indices(n_methods, 1)
    varying = error[first, second] > 0
    first, second = first[varying], second[varying]
    freedom = n_tasks - 1
    if len(first) <= 1:
        return float(stats.t.ppf((1 + level) / 2, freedom)), 0
    residuals = (table - table.mean(axis=0)) / np.sqrt(n_tasks * freedom)
    largest = np.empty(n_resamples)
    for start in range(0, n_resamples, 1000):
        stop = min(start + 1000, n_resamples)
        means = rng.standard_normal((stop - start, n_tasks)) @ residuals
        largest[start:stop] = np.abs((means[:, first] - means[:, second]) / error[first, second]).max(axis=1)
    largest /= np.sqrt(rng.chisquare(freedom, n_resamples) / freedom)
    # never wider than Bonferroni, which needs no estimate of the correlations
    bonferroni = float(stats.t.ppf(1 - (1 - level) / (2 * len(first)), freedom))
    return min(float(np.quantile(largest, level)), bonferroni), n_resamples


def simultaneous_rank_intervals(lower: ArrayLike, upper: ArrayLike) -> tuple[Floats, Floats]:
    """Places [1 + #{j surely better}, k - #{j surely worse}] from joint intervals of the pairwise differences.

    lower, upper : [methods, methods], row minus column. If the intervals hold jointly with probability L, so do all the rank intervals.
    Source: Mogstad, Romano, Shaikh and Wilhelm 2024, "Inference for ranks".

    >>> simultaneous_rank_intervals([[0, 0.1, -0.1], [-0.3, 0, -0.3], [-0.2, -0.1, 0]], [[0, 0.3, 0.2], [-0.1, 0, 0.1], [0.1, 0.3, 0]])
    (array([1., 2., 1.]), array([2., 3., 3.]))
    """
    low, high = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
    np.fill_diagonal(low, 0.0)
    np.fill_diagonal(high, 0.0)
    undefined = np.isnan(low).any(axis=1) | np.isnan(high).any(axis=1)
    better = (high < 0).sum(axis=1)  # row surely below column
    worse = (low > 0).sum(axis=1)
    first, last = 1.0 + better, len(low) - worse.astype(np.float64)
    return np.where(undefined, np.nan, first), np.where(undefined, np.nan, last)


def rank_bounds(lower: ArrayLike, upper: ArrayLike, direction: Direction = "higher") -> tuple[Floats, Floats]:
    """Places from intervals of single methods, as chat arenas print them: 1 + #{j: lo_j > up_i} and k - #{j: up_j < lo_i}.

    lower, upper : [methods]. Without a pairing of the methods these are wider than `simultaneous_rank_intervals`; two touching intervals are not apart.

    >>> rank_bounds([0.70, 0.68, 0.60, 0.58], [0.76, 0.74, 0.69, 0.62])
    (array([1., 1., 2., 3.]), array([2., 3., 4., 4.]))
    """
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if direction == "lower":
        low, high = -high, -low
    undefined = np.isnan(low) | np.isnan(high)
    first = 1.0 + (low[None, :] > high[:, None]).sum(axis=1)
    last = float(np.count_nonzero(~undefined)) - (high[None, :] < low[:, None]).sum(axis=1)
    return np.where(undefined, np.nan, first), np.where(undefined, np.nan, last)


def place_labels(first: ArrayLike, last: ArrayLike) -> list[str]:
    """What the board prints for a rank interval: "3", or "1-4" for methods that cannot be told apart; "-" without a rank.

    >>> place_labels([1, 3, float("nan")], [4, 3, float("nan")])
    ['1-4', '3', '-']
    """
    labels = []
    for low, high in zip(np.asarray(first, dtype=np.float64), np.asarray(last, dtype=np.float64), strict=True):
        labels.append("-" if np.isnan(low) or np.isnan(high) else f"{low:.0f}" if low == high else f"{low:.0f}-{high:.0f}")
    return labels


def best_group(scores: ArrayLike, different: ArrayLike, direction: Direction = "higher") -> list[int]:
    """The methods that a table prints in bold: those not shown to differ from the best one.

    scores : [methods]; different : [methods, methods], true where a test told the two apart.

    >>> best_group([0.9, 0.8, 0.5], [[False, False, True], [False, False, True], [True, True, False]])
    [0, 1]
    """
    places = competition_ranks(scores, direction)
    apart: NDArray[np.bool_] = np.asarray(different, dtype=bool)
    leaders = np.flatnonzero(places == 1)
    return [int(i) for i in np.flatnonzero(np.isfinite(places)) if any(not apart[i, j] or i == j for j in leaders)]


def indistinguishable_neighbours(order: Sequence[int], different: ArrayLike) -> int:
    """How many neighbours on the board no test told apart: the number to print above any strict order.

    >>> indistinguishable_neighbours([0, 1, 2], [[False, False, True], [False, False, True], [True, True, False]])
    1
    """
    apart: NDArray[np.bool_] = np.asarray(different, dtype=bool)
    return sum(not apart[a, b] for a, b in itertools.pairwise(order))
