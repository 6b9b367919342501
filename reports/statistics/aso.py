"""Almost stochastic order of two sets of runs, computed exactly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .result import N_RESAMPLES, Floats, TestResult, drop_missing, round_ties

FEW_RUNS = 5
RESAMPLES_PER_BLOCK = 10_000


def violation_ratio(a: ArrayLike, b: ArrayLike) -> float | None:
    """Share of the squared quantile distance on which b lies above a: 0 = a dominates, 1 = b dominates, None if either is empty.

    eps = int max(0, G^-1 - F^-1)^2 / int (G^-1 - F^-1)^2 with F of a, G of b. Both quantile functions are constant between the merged
    breakpoints i/n and j/m, so the integrals are sums of at most n + m - 1 terms. Equal distributions: 1/2.

    Source: del Barrio, Cuesta-Albertos and Matran 2018; Dror, Shlomov and Reichart 2019.
    >>> round(violation_ratio([0.72, 0.75, 0.69, 0.78, 0.74], [0.70, 0.73, 0.74, 0.71, 0.72]), 6)
    0.038462
    """
    ([x], _), ([y], _) = drop_missing(a), drop_missing(b)
    if not len(x) or not len(y):
        return None
    both = round_ties(np.concatenate([x, y]))
    return float(_ratios(both[: len(x)][None], both[len(x) :][None])[0])


def _ratios(a: Floats, b: Floats) -> Floats:
    """The ratio for each row of [rows, n] and [rows, m]."""
    n, m = a.shape[1], b.shape[1]
    # breakpoints in units of 1 / (n m) are whole numbers, so that i/n and j/m coincide exactly where they do
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    width = np.diff(ends, prepend=0)
    gap = np.sort(b, axis=1)[:, (ends - 1) // n] - np.sort(a, axis=1)[:, (ends - 1) // m]
    squared = gap**2 * width
    total = squared.sum(axis=1)
    above = np.where(gap > 0, squared, 0.0).sum(axis=1)
    return np.asarray(np.divide(above, total, out=np.full(len(a), 0.5), where=total > 0))


def almost_stochastic_order(
    a: ArrayLike,
    b: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    comparisons: int = 1,
    threshold: float = 0.2,
    n_resamples: int = N_RESAMPLES,
) -> TestResult:
    """eps_min: upper bound of the violation ratio at confidence `level`, Bonferroni over `comparisons`, clipped to [0, 1].

    eps_min = eps + z_{1 - alpha/m} sd(eps*), with eps* from runs of a and b resampled independently. effect = eps_min: under 1/2 a almost
    dominates b; `details["claim"]` is 1 where it is under `threshold`, the stricter bound advised for a claim. With fewer than 5 runs on a
    side it is computed but not reliable. Several comparisons raise the level to 1 - alpha / m (deepsig adds alpha / m to it instead).

    Source: Dror, Shlomov and Reichart 2019; Ulmer, Hardmeier and Frellsen 2022.
    >>> a, b = [0.72, 0.75, 0.69, 0.78, 0.74], [0.70, 0.73, 0.74, 0.71, 0.72]
    >>> 0.45 < almost_stochastic_order(a, b, rng=np.random.default_rng(0)).effect < 0.53
    True
    """
    ([x], drop_a), ([y], drop_b) = drop_missing(a), drop_missing(b)
    n, m, n_dropped = len(x), len(y), drop_a + drop_b
    ratio = violation_ratio(x, y)
    if ratio is None:
        return TestResult(method="ASO", n=n + m, generalise_over="seeds", n_dropped=n_dropped, degenerate="an empty sample")
    both = round_ties(np.concatenate([x, y]))
    x, y = both[:n], both[n:]
    blocks = []
    for start in range(0, n_resamples, RESAMPLES_PER_BLOCK):
        rows = min(RESAMPLES_PER_BLOCK, n_resamples - start)
        blocks.append(_ratios(x[rng.integers(0, n, (rows, n))], y[rng.integers(0, m, (rows, m))]))
    spread = float(np.concatenate(blocks).std(ddof=1))
    bound = min(max(ratio + float(stats.norm.isf((1 - level) / comparisons)) * spread, 0.0), 1.0)
    same = n == m and bool((np.sort(x) == np.sort(y)).all())
    return TestResult(
        method="almost stochastic order", n=n + m, generalise_over="seeds", estimate=ratio, se=spread, ci_high=bound, effect=bound,
        level=1 - (1 - level) / comparisons, n_dropped=n_dropped, n_resamples=n_resamples,
        mc_error=spread * float(stats.norm.isf((1 - level) / comparisons)) / math.sqrt(2 * n_resamples),
        note="fewer than 5 runs on a side: not reliable" if min(n, m) < FEW_RUNS else None,
        degenerate="identical scores" if same else None, details={"claim": float(bound < threshold), "n_a": n, "n_b": m},
    )  # fmt: skip
