"""Intervals of ranks that hold for all methods at once, and what a board prints for methods that cannot be told apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .pairwise import complete_tasks, number_of_comparisons
from .ranks import competition_ranks
from .result import Direction, Floats, rounded_difference


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
    n_comparisons: int
    degenerate: str | None = None


def simultaneous_pairwise_intervals(scores: ArrayLike, direction: Direction = "higher", *, level: float = 0.95) -> PairwiseIntervals:
    """Paired differences of task means +- c SE for all pairs, c the t quantile at 1 - (1 - level) / (2 m) with T - 1 df and m pairs (Bonferroni).

    scores : [tasks, methods]; tasks with a missing cell are dropped and counted.
    Every pair has its own estimated SE, so the largest |t| of few tasks is nearly as large as Bonferroni allows: of 20 equal methods on 5 tasks 6 % of tables
    miss a nominal 5 %, where the quantile of a multivariate t with estimated correlations misses in 67 % (tests/reports/statistics).

    >>> scores = np.array([[0.8, 0.7], [0.9, 0.7], [0.7, 0.6], [0.9, 0.8]])
    >>> simultaneous_pairwise_intervals(scores).lower.round(2)
    array([[ 0.  ,  0.05],
           [-0.2 ,  0.  ]])
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, n_methods = table.shape
    pairs = number_of_comparisons(n_methods)
    if n_tasks < 2 or n_methods < 2:
        undefined = np.full((n_methods, n_methods), np.nan)
        return PairwiseIntervals(
            difference=undefined, lower=undefined, upper=undefined, level=level, critical_value=None, n_tasks=n_tasks, n_dropped=dropped,
            n_comparisons=pairs, degenerate="one method" if n_methods < 2 else "fewer than two complete tasks",
        )  # fmt: skip
    differences = rounded_difference(table[:, :, None], table[:, None, :])
    mean, error = differences.mean(axis=0), differences.std(axis=0, ddof=1) / np.sqrt(n_tasks)
    critical = float(stats.t.isf((1 - level) / (2 * pairs), n_tasks - 1))
    return PairwiseIntervals(
        difference=mean, lower=mean - critical * error, upper=mean + critical * error, level=level, critical_value=critical,
        n_tasks=n_tasks, n_dropped=dropped, n_comparisons=pairs,
    )  # fmt: skip


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
