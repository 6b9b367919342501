"""p-values for a declared family: family-wise error, false discovery rate, max-T, partial conjunction, combination.

A missing p-value (None or NaN) is no hypothesis of the family: it is left out of m and stays NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .result import TIE_TOLERANCE, Floats, TestResult, as_vector

AdjustMethod = Literal["bonferroni", "holm", "hochberg", "hommel", "benjamini-hochberg", "benjamini-yekutieli"]


@dataclass(frozen=True)
class Adjusted:
    """Adjusted p-values in the order given, with the size of the family, which is printed beside each."""

    adjusted: Floats
    rejected: NDArray[np.bool_]
    m: int
    n_excluded: int
    method: str
    alpha: float


def adjust(pvalues: ArrayLike, method: AdjustMethod = "holm", *, alpha: float = 0.05) -> Adjusted:
    """Adjusted p-values of one family.

    bonferroni, holm: any dependence, family-wise. hochberg, hommel: under positive dependence, at least as powerful. benjamini-hochberg:
    false discovery rate under positive dependence; benjamini-yekutieli: under any.

    Source: Holm 1979; Hochberg 1988; Hommel 1988; Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001.
    >>> adjust([0.01, 0.04, 0.03, None]).adjusted
    array([0.03, 0.06, 0.06,  nan])
    """
    p = as_vector(pvalues, "pvalues")
    present = ~np.isnan(p)
    if ((p[present] < 0) | (p[present] > 1)).any():
        raise ValueError("p-values lie in [0, 1]")
    adjusted = np.full(len(p), np.nan)
    if present.any():
        adjusted[present] = np.minimum(_METHODS[method](p[present]), 1.0)
    return Adjusted(adjusted, adjusted <= alpha, int(present.sum()), int((~present).sum()), method, alpha)


def bonferroni(p: Floats) -> Floats:
    """m p."""
    return len(p) * p


def holm(p: Floats) -> Floats:
    """Step-down: the running maximum of (m - i + 1) p_(i)."""
    return _step_down(p, np.arange(len(p), 0, -1))


def hochberg(p: Floats) -> Floats:
    """Step-up: the running minimum from the largest of (m - i + 1) p_(i)."""
    return _step_up(p, np.arange(len(p), 0, -1))


def benjamini_hochberg(p: Floats) -> Floats:
    """Step-up: the running minimum from the largest of m p_(i) / i."""
    return _step_up(p, len(p) / np.arange(1, len(p) + 1))


def benjamini_yekutieli(p: Floats) -> Floats:
    """Benjamini-Hochberg times 1 + 1/2 + ... + 1/m."""
    ranks = np.arange(1, len(p) + 1)
    return _step_up(p, len(p) / ranks * (1 / ranks).sum())


def hommel(p: Floats) -> Floats:
    """Closed testing with Simes' test, by Wright's (1992) recursion over sizes j = m .. 2 of intersection hypotheses."""
    m = len(p)
    order = np.argsort(p, kind="stable")
    sorted_p = p[order]
    ranks = np.arange(1, m + 1)
    simes = float((m * sorted_p / ranks).min())
    least = np.full(m, simes)
    adjusted = np.full(m, simes)
    for size in range(m - 1, 1, -1):
        upper = sorted_p[m - size + 1 :]
        bound = float((size * upper / np.arange(2, size + 1)).min())
        least[: m - size + 1] = np.minimum(size * sorted_p[: m - size + 1], bound)
        least[m - size + 1 :] = least[m - size]
        adjusted = np.maximum(adjusted, least)
    result = np.empty(m)
    result[order] = np.maximum(adjusted, sorted_p)
    return result


def _step_down(p: Floats, factor: ArrayLike) -> Floats:
    order = np.argsort(p, kind="stable")
    result = np.empty(len(p))
    result[order] = np.maximum.accumulate(np.asarray(factor) * p[order])
    return result


def _step_up(p: Floats, factor: ArrayLike) -> Floats:
    order = np.argsort(p, kind="stable")
    result = np.empty(len(p))
    result[order] = np.minimum.accumulate((np.asarray(factor) * p[order])[::-1])[::-1]
    return result


_METHODS: dict[str, Callable[[Floats], Floats]] = {
    "bonferroni": bonferroni,
    "holm": holm,
    "hochberg": hochberg,
    "hommel": hommel,
    "benjamini-hochberg": benjamini_hochberg,
    "benjamini-yekutieli": benjamini_yekutieli,
}


def westfall_young(observed: ArrayLike, resampled: ArrayLike, *, exhaustive: bool = False) -> Floats:
    """Single-step max-T: p_i = share of resamples whose largest |t*| over the family is at least |t_i|, with the +1 unless exhaustive.

    observed : [hypotheses], resampled : [resamples, hypotheses], from the same draws for all hypotheses, so that dependence is used.

    Source: Westfall and Young 1993, sec. 2.5.
    >>> westfall_young([3.0, 0.5], [[1.0, -1.0], [0.2, 2.0], [-0.1, 0.4]])
    array([0.25, 0.75])
    """
    largest = np.sort(np.abs(np.asarray(resampled, dtype=np.float64)).max(axis=1))
    return max_t_from_maxima(np.abs(as_vector(observed)), largest, exhaustive=exhaustive)


def max_t_from_maxima(observed: Floats, sorted_maxima: Floats, *, exhaustive: bool = False) -> Floats:
    """The same from the sorted maxima of the resamples (observed already without sign)."""
    threshold = observed - TIE_TOLERANCE * np.maximum(1.0, observed)
    exceeding = len(sorted_maxima) - np.searchsorted(sorted_maxima, threshold, side="left")
    if exhaustive:
        return np.asarray(exceeding / len(sorted_maxima))
    return np.asarray((1 + exceeding) / (len(sorted_maxima) + 1))


@dataclass(frozen=True)
class PartialConjunction:
    """`pvalues[u - 1]` tests "on fewer than u of the N tasks"; `count` tasks can be claimed at `alpha`."""

    pvalues: Floats
    count: int
    n: int
    n_excluded: int
    alpha: float


def partial_conjunction(pvalues: ArrayLike, *, alpha: float = 0.05) -> PartialConjunction:
    """On how many of N tasks is there an effect: p^{u/N} = max over i <= u of (N - i + 1) p_(i), count = #{u: p^{u/N} <= alpha}.

    It says how many, not which; Holm says which. Any dependence between tasks.

    Source: Benjamini and Heller 2008; Dror et al. 2017 (Bonferroni form).
    >>> partial_conjunction([0.01, 0.04, 0.03, 0.005, 0.2]).count
    2
    """
    p = as_vector(pvalues, "pvalues")
    present = np.sort(p[~np.isnan(p)])
    n = len(present)
    # the running maximum before the cap, so that the order in u is kept
    conjunction = np.minimum(np.maximum.accumulate(np.arange(n, 0, -1) * present), 1.0) if n else present
    return PartialConjunction(conjunction, int((conjunction <= alpha).sum()), n, len(p) - n, alpha)


def combine_pvalues(pvalues: ArrayLike, method: Literal["fisher", "stouffer"] = "fisher") -> TestResult:
    """One p-value for "no effect on any task" from independent ones; one-sided p-values unless any direction counts.

    fisher: -2 sum ln p on chi2 with 2 N degrees of freedom; stouffer: sum Phi^-1(1 - p) / sqrt(N).

    Source: Fisher 1932; Stouffer et al. 1949.
    >>> f"{combine_pvalues([0.01, 0.04, 0.03, 0.005, 0.2]).pvalue:.2e}"
    '6.97e-05'
    """
    p = as_vector(pvalues, "pvalues")
    present = p[~np.isnan(p)]
    n, n_dropped = len(present), int(np.isnan(p).sum())
    if not n:
        return TestResult(method=method, n=0, generalise_over="tasks", n_dropped=n_dropped, degenerate="no values")
    with np.errstate(divide="ignore"):
        statistic = float(-2 * np.log(present).sum()) if method == "fisher" else float(stats.norm.isf(present).sum() / np.sqrt(n))
    combined = float(stats.chi2.sf(statistic, 2 * n) if method == "fisher" else stats.norm.sf(statistic))
    df = 2 * n if method == "fisher" else None
    return TestResult(method=method, n=n, generalise_over="tasks", statistic=statistic, df=df, pvalue=combined, n_dropped=n_dropped)
