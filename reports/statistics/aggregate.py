"""One number per method over many tasks. Axes are always in the order task, method, seed; a missing cell makes the aggregate undefined, never smaller."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ranks import task_ranks
from .result import Direction, Floats, TestResult, orient, round_ties

Statistic = Callable[[Floats], Floats]
Resampled = Literal["seeds", "tasks"]
Band = Literal["simultaneous", "pointwise"]


def normalise(scores: ArrayLike, chance: ArrayLike, ceiling: ArrayLike) -> Floats:
    """(score - chance) / (ceiling - chance), so that 0 is guessing and 1 the best that the task declares; direction comes out as higher = better.

    scores : [tasks, ...]; chance, ceiling : [tasks], both declared by the task and both printed with the result.

    >>> normalise([[0.6, 0.8], [0.25, 0.5]], [0.5, 0.25], [1.0, 1.0]).round(3)
    array([[0.2  , 0.6  ],
           [0.   , 0.333]])
    """
    table = np.asarray(scores, dtype=np.float64)
    shape = (-1,) + (1,) * (table.ndim - 1)
    low, high = (np.broadcast_to(np.asarray(v, dtype=np.float64), table.shape[:1]).reshape(shape) for v in (chance, ceiling))
    if np.any(low == high):
        raise ValueError(f"chance equals ceiling for task {int(np.flatnonzero((low == high).ravel())[0])}: nothing to normalise by")
    return np.asarray((table - low) / (high - low), dtype=np.float64)


# --- statistics of one method: [..., tasks, seeds] -> [...] ---------------------------------------------------------------------------


def mean_score(x: ArrayLike) -> Floats:
    """Mean over tasks and seeds. [..., tasks, seeds] -> [...]"""
    return np.asarray(np.asarray(x, dtype=np.float64).mean(axis=(-2, -1)))


def median_task(x: ArrayLike) -> Floats:
    """Median over tasks of the mean over seeds. [..., tasks, seeds] -> [...]"""
    return np.asarray(np.median(np.asarray(x, dtype=np.float64).mean(axis=-1), axis=-1))


def interquartile_mean(x: ArrayLike) -> Floats:
    """Mean of the middle half of all runs: floor(n / 4) cut from each side. [..., tasks, seeds] -> [...]

    Source: Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice".

    >>> float(interquartile_mean([[0.0, 0.4], [0.6, 9.0]]))
    0.5
    """
    table = np.asarray(x, dtype=np.float64)
    runs = np.sort(table.reshape(*table.shape[:-2], -1), axis=-1)
    cut = runs.shape[-1] // 4
    return np.asarray(runs[..., cut : runs.shape[-1] - cut].mean(axis=-1))


def optimality_gap(x: ArrayLike, target: float = 1.0) -> Floats:
    """target - mean(min(x, target)): how far runs fall short of the target, with no credit above it. Lower is better. [..., tasks, seeds] -> [...]

    >>> round(float(optimality_gap([[0.5, 1.5]])), 3)
    0.25
    """
    return np.asarray(target - np.minimum(np.asarray(x, dtype=np.float64), target).mean(axis=(-2, -1)))


def worst_task(x: ArrayLike) -> Floats:
    """Smallest mean over seeds. [..., tasks, seeds] -> [...]"""
    return np.asarray(np.asarray(x, dtype=np.float64).mean(axis=-1).min(axis=-1))


def geometric_mean_error(x: ArrayLike) -> Floats:
    """exp(mean over tasks of log(1 - score)): halving any task's error counts the same. Lower is better. [..., tasks, seeds] -> [...]

    A task without error makes it undefined (NaN): one perfect task would otherwise decide the aggregate alone.

    >>> round(float(geometric_mean_error([[0.9], [0.6]])), 3)
    0.2
    """
    error = 1 - np.asarray(x, dtype=np.float64).mean(axis=-1)
    return np.asarray(np.exp(np.log(np.where(error > 0, error, np.nan)).mean(axis=-1)))


AGGREGATES: Mapping[str, Statistic] = MappingProxyType(
    {
        "mean": mean_score,
        "median": median_task,
        "iqm": interquartile_mean,
        "optimality_gap": optimality_gap,
        "worst_task": worst_task,
        "geometric_mean_error": geometric_mean_error,
    }
)


# --- intervals ------------------------------------------------------------------------------------------------------------------------


def stratified_draws(
    x: ArrayLike,
    *,
    rng: np.random.Generator,
    generalise_over: Resampled = "seeds",
    n_resamples: int = 2000,
    scale_correction: bool = True,
    shared: Sequence[int] | None = None,
) -> Floats:
    """Resampled tables [resamples, tasks, seeds]: seeds within each task, and whole tasks first if `generalise_over` is "tasks".

    shared : [tasks] numbers from 0; rows with one number get the same seeds in a resample (settings of one task whose seeds drew the same rows).
    scale_correction : deviations from the task's mean are first widened by sqrt(S / (S - 1)). The variance of a resampled mean of S seeds is
    (S - 1) / S of what it should be; with 5 seeds the plain interval is 11 % too narrow, however many tasks there are.
    """
    table = np.asarray(x, dtype=np.float64)
    n_tasks, n_seeds = table.shape
    if scale_correction and n_seeds > 1:
        centre = table.mean(axis=1, keepdims=True)
        table = centre + np.sqrt(n_seeds / (n_seeds - 1)) * (table - centre)
    tasks: NDArray[np.int64] = np.broadcast_to(np.arange(n_tasks), (n_resamples, n_tasks))
    if generalise_over == "tasks":
        tasks = rng.integers(0, n_tasks, size=(n_resamples, n_tasks))
    strata = np.arange(n_tasks) if shared is None else np.asarray(shared, dtype=np.intp)
    seeds = rng.integers(0, n_seeds, size=(n_resamples, int(strata.max()) + 1, n_seeds))
    return table[tasks[:, :, None], seeds[:, strata]]


def aggregate_tasks(
    x: ArrayLike,
    statistic: str | Statistic = "iqm",
    *,
    rng: np.random.Generator | None = None,
    generalise_over: Resampled = "seeds",
    level: float = 0.95,
    n_resamples: int = 2000,
    scale_correction: bool = True,
    shared: Sequence[int] | None = None,
) -> TestResult:
    """An aggregate of one method's normalised scores, with a stratified percentile interval if `rng` is given.

    x : [tasks, seeds]; failed runs hold their task's floor already. statistic : a name in AGGREGATES or a function [..., tasks, seeds] -> [...].
    `generalise_over` "seeds" keeps these tasks; "tasks" asks about further ones like them. shared : as in `stratified_draws`.

    >>> x = np.array([[0.5, 0.6], [0.7, 0.9], [0.4, 0.4]])
    >>> aggregate_tasks(x, "mean").estimate.__round__(3)
    0.583
    """
    table = np.asarray(x, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"x: [tasks, seeds] expected, got shape {table.shape}")
    function, name = (AGGREGATES[statistic], statistic) if isinstance(statistic, str) else (statistic, statistic.__name__)
    n = table.shape[1] if generalise_over == "seeds" else table.shape[0]
    if table.size == 0:
        return TestResult(method=name, n=n, generalise_over=generalise_over, degenerate="no scores")
    missing = int(np.count_nonzero(~np.isfinite(table).any(axis=1)))
    if not np.isfinite(table).all():
        reason = f"{missing} of {len(table)} tasks missing" if missing else "seeds missing"
        return TestResult(method=name, n=n, generalise_over=generalise_over, degenerate=reason)
    estimate = float(function(table))
    if not np.isfinite(estimate):
        return TestResult(method=name, n=n, generalise_over=generalise_over, degenerate="a task has no error")
    if rng is None or n < 2:
        reason_one = None if rng is None else f"one {generalise_over[:-1]}: its variance is unknown"
        return TestResult(method=name, n=n, generalise_over=generalise_over, estimate=estimate, degenerate=reason_one)
    draws = function(
        stratified_draws(
            table, rng=rng, generalise_over=generalise_over, n_resamples=n_resamples, scale_correction=scale_correction, shared=shared
        )
    )
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return TestResult(
        method=f"{name}, stratified bootstrap", n=n, generalise_over=generalise_over, estimate=estimate, level=level,
        se=float(np.nanstd(draws, ddof=1)), ci_low=float(low), ci_high=float(high), n_resamples=n_resamples,
        degenerate="zero variance" if np.ptp(draws) == 0 else None,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PerformanceProfile:
    """Share of runs (and of task means) above each threshold, with a band that holds for all thresholds at once or at each one alone.

    thresholds, run_profile, mean_profile, low, high : [thresholds]; low and high belong to run_profile, NaN without resamples
    """

    thresholds: Floats
    run_profile: Floats
    mean_profile: Floats
    low: Floats
    high: Floats
    level: float
    band: Band = "simultaneous"
    degenerate: str | None = None


def performance_profile(
    x: ArrayLike,
    thresholds: ArrayLike,
    *,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    band: Band = "simultaneous",
    shared: Sequence[int] | None = None,
) -> PerformanceProfile:
    """P(score > threshold) over runs and tasks, with a stratified bootstrap band over seeds. x : [tasks, seeds]; shared : as in `stratified_draws`.

    simultaneous : share -+ q sqrt(S / (S - 1)), q the `level` quantile of max over thresholds of |share* - share|. One width for all thresholds, because
    a share of 0 or 1 has no bootstrap variance of its own; not under half a run, 1 / (2 T S). pointwise : bootstrap percentiles of each threshold.
    Source: Dolan and More 2002; Agarwal et al. 2021 for run scores; the band is Bickel and Krieger's (1989) bootstrap of the Kolmogorov distance.

    >>> performance_profile([[0.2, 0.8], [0.6, 0.9]], [0.0, 0.5, 0.8]).run_profile
    array([1.  , 0.75, 0.25])
    """
    table, taus = np.asarray(x, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    undefined = np.full(taus.shape, np.nan)
    if table.size == 0 or not np.isfinite(table).all():
        reason = "no scores" if table.size == 0 else "missing cells"
        return PerformanceProfile(
            thresholds=taus, run_profile=undefined, mean_profile=undefined, low=undefined, high=undefined, level=level, band=band,
            degenerate=reason,
        )  # fmt: skip
    runs = np.array([(table > tau).mean() for tau in taus])
    means = np.array([(round_ties(table.mean(axis=1)) > tau).mean() for tau in taus])
    low, high, reason_band = undefined, undefined, None
    if rng is not None and table.shape[1] > 1:
        drawn = stratified_draws(table, rng=rng, n_resamples=n_resamples, scale_correction=False, shared=shared)
        shares = np.stack([(drawn > tau).mean(axis=(1, 2)) for tau in taus], axis=1)
        low, high = _simultaneous(shares, runs, level, table.shape) if band == "simultaneous" else _pointwise(shares, level)
    elif rng is not None:
        reason_band = "one seed: its variance is unknown"
    return PerformanceProfile(
        thresholds=taus, run_profile=runs, mean_profile=means, low=low, high=high, level=level, band=band, degenerate=reason_band
    )


def _simultaneous(shares: Floats, runs: Floats, level: float, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    n_tasks, n_seeds = shape
    reach = float(np.quantile(np.abs(shares - runs).max(axis=1), level)) * math.sqrt(n_seeds / (n_seeds - 1))
    reach = max(reach, 0.5 / (n_tasks * n_seeds))
    return np.clip(runs - reach, 0.0, 1.0), np.clip(runs + reach, 0.0, 1.0)


def _pointwise(shares: Floats, level: float) -> tuple[Floats, Floats]:
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray(low), np.asarray(high)


# --- aggregates that depend on the other methods ---------------------------------------------------------------------------------------


def mean_win_rate(scores: ArrayLike, direction: Direction = "higher") -> Floats:
    """Share of (task, other method) comparisons won, ties half. scores : [tasks, methods] -> [methods], NaN for a method with a missing cell.

    Methods with a missing cell are nobody's opponents either, so the others' rates rest on the same tasks and rivals.

    >>> mean_win_rate([[0.9, 0.8, 0.8], [0.7, 0.7, 0.5]])
    array([0.875, 0.5  , 0.125])
    """
    return _over_complete(scores, lambda ranks: ((ranks.shape[1] - ranks) / (ranks.shape[1] - 1)).mean(axis=0), direction, needs_rival=True)


def mean_rank(scores: ArrayLike, direction: Direction = "higher") -> Floats:
    """Average over tasks of the rank within the task, 1 = best. scores : [tasks, methods] -> [methods], NaN for a method with a missing cell.

    >>> mean_rank([[0.9, 0.8, 0.7], [0.8, 0.8, 0.6]])
    array([1.25, 1.75, 3.  ])
    """
    return _over_complete(scores, lambda ranks: ranks.mean(axis=0), direction)


def borda(scores: ArrayLike, direction: Direction = "higher") -> Floats:
    """Points: rivals beaten plus half of those tied, summed over tasks. scores : [tasks, methods] -> [methods], NaN for a method with a missing cell.

    >>> borda([[0.9, 0.8, 0.7], [0.8, 0.8, 0.6]])
    array([3.5, 2.5, 0. ])
    """
    return _over_complete(scores, lambda ranks: (ranks.shape[1] - ranks).sum(axis=0), direction)


def _over_complete(scores: ArrayLike, summarise: Statistic, direction: Direction, needs_rival: bool = False) -> Floats:
    table = orient(scores, direction)
    if table.ndim != 2:
        raise ValueError(f"scores: [tasks, methods] expected, got shape {table.shape}")
    complete = np.isfinite(table).all(axis=0)
    result = np.full(table.shape[1], np.nan)
    if len(table) and complete.sum() >= (2 if needs_rival else 1):
        result[complete] = summarise(task_ranks(table[:, complete]))
    return result
