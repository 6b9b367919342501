"""Tests on ranks and signs: Wilcoxon signed rank, sign test, Mann-Whitney, and McNemar for 0/1 scores of one run each."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .result import Floats, GeneraliseOver, TestResult, drop_missing, round_ties, rounded_difference

ZeroMethod = Literal["pratt", "wilcox", "zsplit"]
McNemarMethod = Literal["auto", "exact", "mid-p", "chi2", "chi2-corrected"]

EXACT_UP_TO = 50
MCNEMAR_EXACT_UP_TO = 1_000


def wilcoxon_signed_rank(
    a: ArrayLike, b: ArrayLike, *, zeros: ZeroMethod = "pratt", generalise_over: GeneraliseOver = "tasks", alpha: float = 0.05
) -> TestResult:
    """Wilcoxon's signed rank test, two-sided; statistic W = min(W+, W-), effect = rank-biserial (W+ - W-) / (W+ + W-).

    Differences are rounded to 12 significant decimals before ranking. Exact for n <= 50 without ties or zeros, else normal with tie
    correction and no continuity correction. zeros: "pratt" ranks them and drops their ranks, "wilcox" drops them (which changes n), "zsplit"
    gives half of their ranks to either side. The exact p cannot go under 2^(1-n), which `note` says where that is above alpha.

    Source: Wilcoxon 1945; Pratt 1959; Cureton 1967.
    >>> wilcoxon_signed_rank([0.01, 0.02, 0.03, 0.04, 0.05], [0, 0, 0, 0, 0]).pvalue
    0.0625
    """
    (x, y), n_dropped = drop_missing(a, b)
    d = rounded_difference(x, y)
    zero = d == 0
    about: dict[str, Any] = {"method": f"Wilcoxon signed rank ({zeros})", "generalise_over": generalise_over, "n_dropped": n_dropped}
    about["details"] = {"zeros": int(zero.sum())}
    if not len(d):
        return TestResult(n=0, degenerate="no pairs", **about)
    if zero.all():
        return TestResult(n=len(d), statistic=0.0, pvalue=1.0, effect=0.0, estimate=0.0, degenerate="identical scores", **about)
    estimate = float(np.median(d))
    if zeros == "wilcox":
        d, zero = d[~zero], np.zeros(int((~zero).sum()), dtype=bool)
    ranks = stats.rankdata(np.abs(d))
    plus, minus = float(ranks[d > 0].sum()), float(ranks[d < 0].sum())
    effect = (plus - minus) / (plus + minus)
    if zeros == "zsplit":
        plus, minus = plus + float(ranks[zero].sum()) / 2, minus + float(ranks[zero].sum()) / 2
    n, lower = len(d), min(plus, minus)
    exact = n <= EXACT_UP_TO and not zero.any() and len(np.unique(ranks)) == n
    pvalue = min(1.0, 2 * signed_rank_cdf(int(lower), n)) if exact else _normal_signed_rank(lower, ranks, zero, zeros)
    floor = 2.0 ** (1 - n)
    note = f"p cannot go under {floor:g} with {n} pairs" if floor > alpha else None
    return TestResult(n=n, statistic=lower, pvalue=pvalue, effect=effect, estimate=estimate, note=note, **about)


def signed_rank_cdf(w: int, n: int) -> float:
    """P(W+ <= w) for n untied differences: subsets of 1..n by their sum, over 2^n."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] = ways[rank:] + ways[:-rank]
    return float(ways[: w + 1].sum() / 2.0**n)


def _normal_signed_rank(w: float, ranks: Floats, zero: Any, zeros: ZeroMethod) -> float:
    n, n_zero = len(ranks), int(zero.sum())
    mean, variance = n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24
    tied = ranks
    if zeros == "pratt":
        mean -= n_zero * (n_zero + 1) / 4
        variance -= n_zero * (n_zero + 1) * (2 * n_zero + 1) / 24
        tied = ranks[~zero]
    _, counts = np.unique(tied, return_counts=True)
    variance -= float((counts.astype(float) ** 3 - counts).sum()) / 48
    return float(min(1.0, 2 * stats.norm.cdf((w - mean) / math.sqrt(variance))))


def sign_test(wins: int, losses: int, ties: int = 0, *, generalise_over: GeneraliseOver = "tasks") -> TestResult:
    """Two-sided binomial test of wins against losses; ties are dropped and reported. effect = (wins - losses) / (wins + losses).

    >>> sign_test(6, 1, 1).pvalue
    0.125
    """
    n = wins + losses
    about: dict[str, Any] = {"method": "sign test", "generalise_over": generalise_over, "n": n, "n_dropped": ties}
    about["details"] = {"wins": wins, "losses": losses, "ties": ties}
    if not n:
        degenerate = "all ties" if ties else "no pairs"
        return TestResult(pvalue=1.0 if ties else None, effect=0.0 if ties else None, degenerate=degenerate, **about)
    pvalue = float(stats.binomtest(wins, n).pvalue)
    return TestResult(statistic=wins, estimate=wins / n, effect=(wins - losses) / n, pvalue=pvalue, **about)


def mann_whitney(x: ArrayLike, y: ArrayLike, *, generalise_over: GeneraliseOver = "seeds") -> TestResult:
    """Two-sided Mann-Whitney test of two independent samples; statistic U of x (ties half), effect = U / (n m).

    Exact without ties up to 8 in the smaller sample, else normal with tie and continuity correction.

    Source: Mann and Whitney 1947.
    >>> mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]).statistic
    0.0
    """
    ([a], drop_a), ([b], drop_b) = drop_missing(x), drop_missing(y)
    about: dict[str, Any] = {
        "method": "Mann-Whitney",
        "generalise_over": generalise_over,
        "n": len(a) + len(b),
        "n_dropped": drop_a + drop_b,
    }
    about["details"] = {"n_x": len(a), "n_y": len(b)}
    if not len(a) or not len(b):
        return TestResult(degenerate="an empty sample", **about)
    both = round_ties(np.concatenate([a, b]))
    if (both == both[0]).all():
        return TestResult(statistic=len(a) * len(b) / 2, pvalue=1.0, effect=0.5, degenerate="all ties", **about)
    exact = min(len(a), len(b)) <= 8 and len(np.unique(both)) == len(both)
    found = stats.mannwhitneyu(both[: len(a)], both[len(a) :], alternative="two-sided", method="exact" if exact else "asymptotic")
    return TestResult(
        statistic=float(found.statistic), pvalue=float(found.pvalue), effect=float(found.statistic) / (len(a) * len(b)), **about
    )


def mcnemar(n10: int, n01: int, *, n: int | None = None, method: McNemarMethod = "auto") -> TestResult:
    """McNemar's test of two runs on the same examples: n10 = a right and b wrong, n01 = the reverse; n = all examples, for the estimate.

    exact: 2 P(Bin(n10 + n01, 1/2) <= min), at most 1; mid-p: that before the cap less P(= min), for equal counts 1 - P(=) / 2; chi2:
    (n10 - n01)^2 / (n10 + n01), corrected (|n10 - n01| - 1)^2 / .... "auto" is exact up to 1000 discordant examples, then corrected; all
    stand in `details`, and mid-p is the one to print under 25. It tests these two trained models, not the methods.

    Source: McNemar 1947; Fagerland, Lydersen and Laake 2013 for mid-p.
    >>> round(mcnemar(25, 10).pvalue, 4), round(mcnemar(3, 1, method="mid-p").pvalue, 4)
    (0.0167, 0.375)
    """
    total, smaller = n10 + n01, min(n10, n01)
    if method == "auto":
        method = "exact" if total <= MCNEMAR_EXACT_UP_TO else "chi2-corrected"
    twice = 2 * float(stats.binom.cdf(smaller, total, 0.5))
    mass = float(stats.binom.pmf(smaller, total, 0.5))
    chi2 = (n10 - n01) ** 2 / total if total else 0.0
    corrected = max(abs(n10 - n01) - 1, 0) ** 2 / total if total else 0.0
    pvalues = {
        "exact": min(twice, 1.0),
        "mid-p": (1 - mass / 2 if n10 == n01 else twice - mass) if total else 1.0,
        "chi2": float(stats.chi2.sf(chi2, 1)),
        "chi2-corrected": float(stats.chi2.sf(corrected, 1)),
    }
    details = {"n10": n10, "n01": n01, "chi2": chi2, "chi2_corrected": corrected, **{f"p {name}": p for name, p in pvalues.items()}}
    return TestResult(
        method=f"McNemar ({method})", n=total if n is None else n, generalise_over="examples", estimate=(n10 - n01) / n if n else None,
        statistic={"chi2": chi2, "chi2-corrected": corrected}.get(method, float(smaller)), pvalue=pvalues[method],
        effect=(n10 - n01) / total if total else 0.0, details=details, degenerate=None if total else "no discordant examples",
    )  # fmt: skip


def mcnemar_scores(a: ArrayLike, b: ArrayLike, *, method: McNemarMethod = "auto") -> TestResult:
    """McNemar's test from two vectors of 0/1 scores on the same examples.

    >>> mcnemar_scores([1, 1, 0, 1], [0, 1, 0, 0]).details["n10"]
    2
    """
    (x, y), _ = drop_missing(a, b)
    if not np.isin(np.concatenate([x, y]), (0.0, 1.0)).all():
        raise ValueError("McNemar's test is for 0/1 scores; use approximate_randomisation")
    if not len(x):
        return TestResult(method="McNemar", n=0, generalise_over="examples", degenerate="no pairs")
    return mcnemar(int(((x == 1) & (y == 0)).sum()), int(((x == 0) & (y == 1)).sum()), n=len(x), method=method)
