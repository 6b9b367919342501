"""Which methods differ over tasks, pair by pair: Wilcoxon with Holm, sign-flip max-T, and the choice between them. Matrices are [tasks, methods]."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .adjust import adjust
from .pairwise import PairwiseComparison, complete_tasks, number_of_comparisons, smallest_number_of_tasks
from .rank_tests import wilcoxon_signed_rank
from .result import (
    MAX_RESAMPLES,
    N_RESAMPLES,
    TIE_TOLERANCE,
    Direction,
    Floats,
    monte_carlo_error,
    rounded_difference,
    undecided,
)

CHUNK = 1000  # resamples held at once: 1000 x 2850 pairs of 76 methods are 23 MB


def wilcoxon_holm(
    scores: ArrayLike, direction: Direction = "higher", *, baseline: int | None = None, alpha: float = 0.05
) -> PairwiseComparison:
    """Wilcoxon's signed-rank test for every pair (or every method against `baseline`), with Holm's adjustment over those pairs.

    A pair's raw p-value does not depend on which other methods are present. Source: Benavoli, Corani and Mangili 2016.

    >>> scores = np.arange(9)[:, None] * 0.01 + np.array([0.5, 0.6, 0.7])
    >>> wilcoxon_holm(scores).pvalues[0].round(4)
    array([1.    , 0.0081, 0.0081])
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    if n_tasks < 2 or k < 2:
        return PairwiseComparison.undefined("wilcoxon-holm", k, n_tasks, dropped, alpha, baseline=baseline)
    first, second = _pairs(k, baseline)
    raw = [wilcoxon_signed_rank(table[:, i], table[:, j], generalise_over="tasks").pvalue for i, j in zip(first, second, strict=True)]
    return PairwiseComparison(
        procedure="wilcoxon-holm",
        estimate=_mean_differences(table),
        unit="score",
        pvalues=_matrix(k, first, second, adjust(np.array(raw, dtype=np.float64), "holm", alpha=alpha).adjusted),
        raw_pvalues=_matrix(k, first, second, np.array(raw, dtype=np.float64)),
        alpha=alpha,
        n_tasks=n_tasks,
        n_dropped=dropped,
        n_comparisons=len(first),
        minimum_tasks=smallest_number_of_tasks(k, alpha=alpha, against_baseline=baseline is not None),
        baseline=baseline,
    )


def max_t(
    scores: ArrayLike,
    direction: Direction = "higher",
    *,
    baseline: int | None = None,
    alpha: float = 0.05,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
) -> PairwiseComparison:
    """Sign-flip test of every pair over tasks, adjusted by the distribution of the largest |t|: p_ij = P(max |t*| >= |t_ij|).

    A task's differences change sign together for all pairs, so the adjustment uses how the pairs hang together. |t| is replaced by
    |mean| sqrt(T / sum d^2), which orders resamples alike and stays finite for constant differences; the sum does not change under flips. Exact where
    2^(T-1) <= n_resamples, else `n_resamples` draws, doubled up to 160,000 while a verdict is within 3 Monte-Carlo errors of alpha.
    Source: Westfall and Young 1993 (single step).

    >>> scores = np.arange(6)[:, None] * 0.01 + np.array([0.5, 0.6])
    >>> max_t(scores).pvalues[0]
    array([1.     , 0.03125])
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    if n_tasks < 2 or k < 2:
        return PairwiseComparison.undefined("max-t", k, n_tasks, dropped, alpha, baseline=baseline)
    first, second = _pairs(k, baseline)
    differences = rounded_difference(table[:, first], table[:, second])
    squares = (differences**2).sum(axis=0)
    weight = 1 / np.sqrt(n_tasks * np.where(squares > 0, squares, np.inf))  # 0 for identical methods: they never lead
    observed = np.abs(differences.sum(axis=0)) * weight
    exact = n_tasks - 1 <= np.log2(n_resamples)
    if exact:
        each, largest, drawn = _all_exceedances(table, first, second, weight, observed)
    else:
        each, largest, drawn = _drawn_exceedances(table, first, second, weight, observed, rng, n_resamples, alpha)
    raw, adjusted = (count / drawn if exact else (1 + count) / (drawn + 1) for count in (each, largest))
    closest = float(adjusted[np.argmin(np.abs(adjusted - alpha))])
    return PairwiseComparison(
        procedure="max-t", estimate=_mean_differences(table), unit="score", pvalues=_matrix(k, first, second, adjusted),
        raw_pvalues=_matrix(k, first, second, raw), alpha=alpha, n_tasks=n_tasks, n_dropped=dropped, n_comparisons=len(first),
        minimum_tasks=smallest_number_of_tasks(k, alpha=alpha, procedure="max-t"), baseline=baseline, n_resamples=drawn,
        mc_error=monte_carlo_error(closest, drawn, exhaustive=exact),
    )  # fmt: skip


def _all_exceedances(
    table: Floats, first: NDArray[np.int64], second: NDArray[np.int64], weight: Floats, observed: Floats
) -> tuple[Floats, Floats, int]:
    # |t| is the same for all signs turned, so the first task's is held
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=len(table) - 1))).reshape(-1, len(table) - 1)
    signs = np.hstack([np.ones((len(signs), 1)), signs])
    return *_exceedances(signs, table, first, second, weight, observed), len(signs)


def _drawn_exceedances(
    table: Floats,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    weight: Floats,
    observed: Floats,
    rng: np.random.Generator | None,
    n_resamples: int,
    alpha: float,
) -> tuple[Floats, Floats, int]:
    if rng is None:
        raise ValueError("rng is needed: there are too many sign flips to enumerate them")
    above_each, above_max, drawn, target = np.zeros(len(first)), np.zeros(len(first)), 0, n_resamples
    while drawn < target:
        signs = rng.choice([1.0, -1.0], size=(target - drawn, len(table)))
        each, largest = _exceedances(signs, table, first, second, weight, observed)
        above_each, above_max, drawn = above_each + each, above_max + largest, target
        if undecided((1 + above_max) / (drawn + 1), drawn, alpha):
            target = min(2 * drawn, max(MAX_RESAMPLES, n_resamples))
    return above_each, above_max, drawn


def _exceedances(
    signs: Floats, table: Floats, first: NDArray[np.int64], second: NDArray[np.int64], weight: Floats, observed: Floats
) -> tuple[Floats, Floats]:
    """How many resamples reach each pair's statistic, by the pair's own resampled statistic and by the largest of all pairs."""
    # sums of scores carry the rounding of the scores, which is larger than that of their differences
    threshold = observed - TIE_TOLERANCE * (1 + len(table) * float(np.abs(table).max()) * weight)
    above_each, largest = np.zeros(len(first)), np.empty(len(signs))
    for start in range(0, len(signs), CHUNK):
        # flips are linear: one product per method serves all pairs
        sums = signs[start : start + CHUNK] @ table
        resampled = np.abs(sums[:, first] - sums[:, second]) * weight
        above_each += (resampled >= threshold).sum(axis=0)
        largest[start : start + CHUNK] = resampled.max(axis=1)
    largest.sort()
    return above_each, np.asarray(len(largest) - np.searchsorted(largest, threshold, side="left"), dtype=np.float64)


def compare_across_tasks(
    scores: ArrayLike,
    direction: Direction = "higher",
    *,
    baseline: int | None = None,
    alpha: float = 0.05,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
) -> PairwiseComparison:
    """The default comparison of many methods: Wilcoxon-Holm where it can reject even tied differences, else max-T; `why` says which and for what reason.

    The choice depends on the numbers of tasks and methods alone, never on the scores, so it costs no error rate.

    >>> scores = np.random.default_rng(0).normal(size=(8, 10))
    >>> compare_across_tasks(scores, rng=np.random.default_rng(1)).why
    'max-T over 45 pairs: Wilcoxon-Holm cannot reject any with 8 tasks (needs 11, and 14 where differences tie)'
    >>> compare_across_tasks(scores[:4]).why
    'max-T over 45 pairs; no test can reject at this size: 6 tasks are the fewest, there are 4'
    """
    table, _ = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    against = baseline is not None
    pairs = number_of_comparisons(k, against)
    named = f"{pairs} comparisons with the baseline" if against else f"{pairs} pairs"
    needed, tied = (smallest_number_of_tasks(k, alpha=alpha, against_baseline=against, ties=ties) or 0 for ties in (False, True))
    least = smallest_number_of_tasks(k, alpha=alpha, procedure="max-t") or 0
    if k >= 2 and n_tasks >= tied:
        found = wilcoxon_holm(scores, direction, baseline=baseline, alpha=alpha)
        return replace(found, why=f"Wilcoxon-Holm over {named}: it can reject from {tied} tasks on, there are {n_tasks}")
    found = max_t(scores, direction, baseline=baseline, alpha=alpha, rng=rng, n_resamples=n_resamples)
    if found.degenerate is not None:
        why = found.degenerate
    elif n_tasks < least:
        why = f"max-T over {named}; no test can reject at this size: {least} tasks are the fewest, there are {n_tasks}"
    elif n_tasks < needed:
        why = f"max-T over {named}: Wilcoxon-Holm cannot reject any with {n_tasks} tasks (needs {needed}, and {tied} where differences tie)"
    else:
        why = f"max-T over {named}: Wilcoxon-Holm cannot reject tied differences with {n_tasks} tasks (needs {tied})"
    return replace(found, why=why)


def _pairs(n_methods: int, baseline: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if baseline is None:
        first, second = np.triu_indices(n_methods, 1)
        return first, second
    if not 0 <= baseline < n_methods:
        raise ValueError(f"baseline {baseline} is not one of {n_methods} methods")
    others = np.delete(np.arange(n_methods), baseline)
    return np.full(len(others), baseline), others


def _matrix(n_methods: int, first: NDArray[np.int64], second: NDArray[np.int64], values: Floats) -> Floats:
    result = np.full((n_methods, n_methods), np.nan)
    np.fill_diagonal(result, 1.0)
    result[first, second] = result[second, first] = values
    return result


def _mean_differences(table: Floats) -> Floats:
    return np.asarray(rounded_difference(table[:, :, None], table[:, None, :]).mean(axis=0))
