"""Ranks of methods and how far they can be trusted. Axes are always in the order task, method, seed, example; rank 1 is the best."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .result import N_RESAMPLES, Direction, Floats, GeneraliseOver, orient, round_ties

Ints = NDArray[np.int64]
RankStatistic = Literal["mean", "mean_rank"]


def task_ranks(scores: ArrayLike, direction: Direction = "higher") -> Floats:
    """Average ranks within each task, 1 = best; a missing cell has no rank and the others are ranked among themselves.

    scores : [tasks, methods]; equal up to 12 significant decimals of the task's largest score is a tie.

    >>> task_ranks([[0.9, 0.8, 0.7], [0.8, 0.8, 0.6]])
    array([[1. , 2. , 3. ],
           [1.5, 1.5, 3. ]])
    """
    table = _table(scores)
    oriented = orient(table, direction)
    rounded = np.stack([round_ties(row) for row in oriented]) if len(oriented) else oriented
    result = np.full(table.shape, np.nan)
    for row, out in zip(rounded, result, strict=True):
        present = np.isfinite(row)
        out[present] = stats.rankdata(-row[present])
    return result


def competition_ranks(scores: ArrayLike, direction: Direction = "higher") -> Floats:
    """1 + number strictly better, along the last axis: tied methods share the better place, as on a board. Missing stays missing.

    >>> competition_ranks([0.7, 0.9, 0.9, 0.1])
    array([3., 1., 1., 4.])
    """
    oriented = round_ties(orient(scores, direction))
    missing = ~np.isfinite(oriented)
    ranks = stats.rankdata(np.where(missing, np.inf, -oriented), method="min", axis=-1)
    return np.where(missing, np.nan, ranks)


@dataclass(frozen=True, kw_only=True)
class RankDistribution:
    """How often each method took each place over the resamples.

    probabilities : [methods, places]; tied methods share the better place, so the first column may sum to more than 1
    expected, p_best, p_top3, low, high : [methods]; low and high hold the place in `level` of the resamples (not simultaneously for all methods)
    excluded : methods with a missing cell; they are not ranked and their numbers are NaN
    """

    probabilities: Floats
    expected: Floats
    p_best: Floats
    p_top3: Floats
    low: Floats
    high: Floats
    level: float
    excluded: tuple[int, ...]
    method: str
    generalise_over: GeneraliseOver | None
    n_resamples: int
    exhaustive: bool = False
    degenerate: str | None = None


def rank_distribution(
    draws: ArrayLike,
    direction: Direction = "higher",
    *,
    level: float = 0.95,
    method: str = "resampled scores",
    generalise_over: GeneraliseOver | None = None,
    exhaustive: bool = False,
    degenerate: str | None = None,
) -> RankDistribution:
    """P(place = r), expected place, P(best) and an interval of places from resampled scores of all methods.

    draws : [resamples, methods], one aggregate score per method and resample, from any bootstrap that draws for all methods at once.

    >>> rank_distribution([[0.9, 0.8], [0.7, 0.8], [0.9, 0.9], [0.9, 0.8]]).p_best
    array([0.75, 0.5 ])
    """
    table = np.asarray(draws, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"draws: [resamples, methods] expected, got shape {table.shape}")
    n_draws, n_methods = table.shape
    excluded = tuple(int(j) for j in np.flatnonzero(~np.isfinite(table).all(axis=0)))
    kept = [j for j in range(n_methods) if j not in excluded]
    probabilities = np.full((n_methods, n_methods), np.nan)
    summary = np.full((5, n_methods), np.nan)
    if kept and n_draws:
        places = competition_ranks(table[:, kept], direction)
        counts = np.stack([(places == place).mean(axis=0) for place in range(1, n_methods + 1)], axis=1)
        probabilities[kept] = counts
        tail = (1 - level) / 2
        low, high = np.quantile(places, [tail, 1 - tail], axis=0, method="inverted_cdf")
        summary[:, kept] = [places.mean(axis=0), counts[:, 0], counts[:, :3].sum(axis=1), low, high]
    if degenerate is None:
        degenerate = _why_undefined(n_draws, n_methods, excluded)
    return RankDistribution(
        probabilities=probabilities,
        expected=summary[0],
        p_best=summary[1],
        p_top3=summary[2],
        low=summary[3],
        high=summary[4],
        level=level,
        excluded=excluded,
        method=method,
        generalise_over=generalise_over,
        n_resamples=n_draws,
        exhaustive=exhaustive,
        degenerate=degenerate,
    )


def bootstrap_ranks(
    scores: ArrayLike,
    direction: Direction = "higher",
    *,
    rng: np.random.Generator | None = None,
    statistic: RankStatistic = "mean",
    generalise_over: Literal["seeds", "tasks"] = "seeds",
    scale_correction: bool = True,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> RankDistribution:
    """Distribution of the places under a bootstrap of seeds within each cell, or of whole tasks.

    scores : [tasks, methods, seeds]; NaN pads seeds that were not run. Failed runs must hold their task's floor already.
    statistic : what a board sorts by: the mean over tasks, or the mean over tasks of the rank within the task.
    scale_correction : widen deviations of the resampled means by sqrt(n / (n - 1)), the factor by which the bootstrap variance of a mean of n is small.
    All resamples are enumerated where they are no more than `n_resamples`; then no draw is made.

    >>> scores = np.array([[[0.80, 0.82], [0.90, 0.92]]])
    >>> bootstrap_ranks(scores).p_best
    array([0., 1.])
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 3:
        raise ValueError(f"scores: [tasks, methods, seeds] expected, got shape {table.shape}")
    oriented = orient(table, direction)
    reason, exhaustive = None, False
    if generalise_over == "seeds":
        drawn, exhaustive = _seed_draws(oriented, rng, n_resamples, scale_correction, statistic)
        if table.shape[0] and (np.isfinite(table).sum(axis=2) < 2).all():
            reason = "one seed: seed variance unknown"
    else:
        drawn = _task_draws(oriented, rng, n_resamples, scale_correction, statistic)
        if table.shape[0] < 2:
            reason = "one task: task variance unknown"
    return rank_distribution(
        drawn,
        level=level,
        method=f"bootstrap over {generalise_over}, {statistic.replace('_', ' ')}",
        generalise_over=generalise_over,
        exhaustive=exhaustive,
        degenerate=reason,
    )


def _seed_draws(
    scores: Floats, rng: np.random.Generator | None, n_resamples: int, scale_correction: bool, statistic: RankStatistic
) -> tuple[Floats, bool]:
    """Resampled aggregates [resamples, methods]; seeds of every cell are drawn on their own (methods share no seed noise)."""
    n_tasks, n_methods, n_seeds = scores.shape
    n_present = np.isfinite(scores).sum(axis=2)
    cells = n_tasks * n_methods
    complete = bool(cells) and bool((n_present == n_seeds).all()) and n_seeds > 0
    exhaustive = complete and n_seeds * cells * np.log(n_seeds) <= np.log(n_resamples)
    if exhaustive:
        choices = np.array(list(itertools.product(range(n_seeds), repeat=n_seeds)))  # [S^S, S]
        grid = np.indices((len(choices),) * cells).reshape(cells, -1)
        picks = [choices[grid[t * n_methods : (t + 1) * n_methods]].transpose(1, 0, 2) for t in range(n_tasks)]
    elif rng is None:
        raise ValueError("rng is needed: there are too many resamples to enumerate them")
    total: Floats = np.zeros(())
    for task in range(n_tasks):
        # present seeds first, so that an index below the count is always one that was run
        cell = np.take_along_axis(scores[task], np.argsort(~np.isfinite(scores[task]), axis=1, kind="stable"), axis=1)
        count = n_present[task]
        if exhaustive:
            pick = picks[task]
        else:
            assert rng is not None
            pick = (rng.random((n_resamples, n_methods, n_seeds)) * count[:, None]).astype(np.int64)
        weight = (np.arange(n_seeds) < count[:, None]) / np.maximum(count, 1)[:, None]
        drawn = (np.nan_to_num(cell)[np.arange(n_methods)[:, None], pick] * weight).sum(axis=2)
        mean = (np.nan_to_num(cell) * weight).sum(axis=1)
        if scale_correction:
            factor = np.sqrt(count / np.maximum(count - 1, 1))
            drawn = mean + factor * (drawn - mean)
        drawn[:, count == 0] = np.nan
        total = total + _contribution(drawn, statistic)
    return total / n_tasks if n_tasks else np.empty((0, n_methods)), exhaustive


def _task_draws(
    scores: Floats, rng: np.random.Generator | None, n_resamples: int, scale_correction: bool, statistic: RankStatistic
) -> Floats:
    """Tasks are drawn jointly for all methods: the difficulty of a task is shared, and cancels in the comparison."""
    if rng is None:
        raise ValueError("rng is needed to resample tasks")
    count = np.isfinite(scores).sum(axis=2)
    summed = np.where(np.isfinite(scores), scores, 0.0).sum(axis=2)
    cells = _contribution(np.where(count > 0, summed / np.maximum(count, 1), np.nan), statistic)
    n_tasks = len(cells)
    if n_tasks == 0:
        return np.empty((0, cells.shape[1]))
    weights = rng.multinomial(n_tasks, np.full(n_tasks, 1 / n_tasks), size=n_resamples) / n_tasks
    drawn: Floats = weights @ cells
    mean = cells.mean(axis=0)
    return mean + np.sqrt(n_tasks / (n_tasks - 1)) * (drawn - mean) if scale_correction and n_tasks > 1 else drawn


def _contribution(values: Floats, statistic: RankStatistic) -> Floats:
    """What one task adds to the aggregate: the score, or minus the rank (so that larger stays better)."""
    if statistic == "mean":
        return values
    return np.asarray(-stats.rankdata(-round_ties(values), axis=-1, nan_policy="omit"), dtype=np.float64)


def _why_undefined(n_draws: int, n_methods: int, excluded: tuple[int, ...]) -> str | None:
    if n_draws == 0 or n_methods == 0:
        return "nothing to rank"
    return "missing cells" if len(excluded) == n_methods else None


def _table(scores: ArrayLike) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"scores: [tasks, methods] expected, got shape {table.shape}")
    return table
