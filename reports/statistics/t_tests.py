"""t tests of a difference of means: paired, clustered, Welch, corrected for overlapping splits; margins tested on their results.

All speak of a - b. Inputs are paired by position; a pair with a missing value is left out and counted in `n_dropped`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .examples import clustered_mean
from .intervals import constant
from .result import Alternative, Floats, GeneraliseOver, TestResult, as_vector, drop_missing, rounded_difference


def t_test(
    estimate: float, se: float, df: float, *, alternative: Alternative = "two-sided", level: float = 0.95, **about: Any
) -> TestResult:
    """t = estimate / se on df degrees of freedom; the interval is two-sided at `level` whatever the alternative."""
    statistic = estimate / se
    reach = float(special.stdtrit(df, (1 + level) / 2)) * se
    return TestResult(
        estimate=estimate, se=se, df=df, statistic=statistic, pvalue=t_pvalue(statistic, df, alternative), alternative=alternative,
        level=level, ci_low=estimate - reach, ci_high=estimate + reach, **about,
    )  # fmt: skip


def t_pvalue(statistic: float, df: float, alternative: Alternative = "two-sided") -> float:
    # what scipy.stats.t calls, without its argument checks (1000 times the work of the function)
    if alternative == "two-sided":
        return float(2 * special.stdtr(df, -abs(statistic)))
    if alternative == "greater":
        return float(special.stdtr(df, -statistic))
    if alternative == "less":
        return float(special.stdtr(df, statistic))
    raise ValueError(f"unknown alternative {alternative!r}")


def without_spread(d: Floats, **about: Any) -> TestResult:
    """The result for differences that have no spread to test with (fewer than two of them, or all equal).

    Identical vectors: p = 1. A constant difference: no p, since its t is infinite for any number of pairs; its sign-flip p is defined.
    """
    about = {"n": len(d), **about}
    if len(d) < 2:
        return TestResult(estimate=float(d[0]) if len(d) else None, degenerate="one pair" if len(d) else "no pairs", **about)
    point = float(np.median(d))
    if point == 0:
        return TestResult(estimate=0.0, se=0.0, ci_low=0.0, ci_high=0.0, pvalue=1.0, effect=0.0, degenerate="identical scores", **about)
    return TestResult(estimate=point, se=0.0, ci_low=point, ci_high=point, degenerate="zero variance of differences", **about)


def has_spread(d: Floats) -> bool:
    return len(d) >= 2 and not constant(d)


def paired_t(
    a: ArrayLike,
    b: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    generalise_over: GeneraliseOver = "seeds",
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> TestResult:
    """t = mean(d) / (sd(d) / sqrt(n)), d = a - b, on n - 1 degrees of freedom; effect = d_z = mean(d) / sd(d).

    With `cluster` (one label per pair) the standard error is clustered (CR1) on C - 1 degrees of freedom. Over seeds it is a statement
    about this test set: where methods differ per example its error rate for a new one is far above alpha.

    Source: Student 1908.
    >>> round(paired_t([0.81, 0.79, 0.84, 0.80], [0.78, 0.80, 0.80, 0.77]).pvalue, 4)
    0.1354
    """
    labels = None if cluster is None else np.asarray(cluster)[np.isfinite(as_vector(a)) & np.isfinite(as_vector(b))]
    (x, y), n_dropped = drop_missing(a, b)
    d = rounded_difference(x, y)
    about: dict[str, Any] = {
        "method": "paired t" if labels is None else "clustered paired t",
        "generalise_over": generalise_over,
        "n_dropped": n_dropped,
        "alternative": alternative,
        "level": level,
    }
    if not has_spread(d):
        return without_spread(d, **about)
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    if labels is None:
        return t_test(mean, sd / math.sqrt(len(d)), len(d) - 1, n=len(d), effect=mean / sd, **about)
    clustered = clustered_mean(d, labels, level=level)
    if not clustered.se or clustered.df is None:
        reason = clustered.degenerate or "zero variance between clusters"
        return TestResult(n=clustered.n, estimate=mean, degenerate=reason, **about)
    return t_test(mean, clustered.se, clustered.df, n=clustered.n, effect=mean / sd, **about)


def welch_t(a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", level: float = 0.95) -> TestResult:
    """Difference of means of two independent sets of seeds with unequal variances; effect = difference / sqrt((s_a^2 + s_b^2) / 2).

    Source: Welch 1947; degrees of freedom by Satterthwaite 1946.
    >>> round(welch_t([0.81, 0.79, 0.84], [0.78, 0.80]).df, 2)
    3.0
    """
    ([x], drop_a), ([y], drop_b) = drop_missing(a), drop_missing(b)
    about: dict[str, Any] = {
        "method": "Welch t",
        "generalise_over": "seeds",
        "n": len(x) + len(y),
        "n_dropped": drop_a + drop_b,
        "alternative": alternative,
        "level": level,
        "details": {"n_a": len(x), "n_b": len(y)},
    }
    if min(len(x), len(y)) < 2:
        estimate = float(x.mean() - y.mean()) if len(x) and len(y) else None
        return TestResult(estimate=estimate, degenerate="fewer than two seeds on one side", **about)
    if constant(x) and constant(y):
        return without_spread(rounded_difference(x[:1], y[:1]).repeat(2), **about)
    var_a, var_b = float(x.var(ddof=1)), float(y.var(ddof=1))
    part_a, part_b = var_a / len(x), var_b / len(y)
    df = (part_a + part_b) ** 2 / (part_a**2 / (len(x) - 1) + part_b**2 / (len(y) - 1))
    difference = float(x.mean() - y.mean())
    return t_test(difference, math.sqrt(part_a + part_b), df, effect=difference / math.sqrt((var_a + var_b) / 2), **about)


def paired_standard_error(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> TestResult:
    """Paired t over examples, with what pairing gained: details hold se_unpaired, correlation, variance_reduction = 1 - SE^2 / SE_unp^2.

    Source: Miller 2024 (arXiv 2411.00640).
    >>> round(paired_standard_error([1, 1, 0, 1, 1], [1, 0, 0, 1, 0]).details["correlation"], 3)
    0.408
    """
    (x, y), _ = drop_missing(a, b)
    found = paired_t(a, b, generalise_over="examples", level=level)
    if len(x) < 2:
        return found
    unpaired = float((x.var(ddof=1) + y.var(ddof=1)) / len(x))
    varies = not constant(x) and not constant(y)
    return replace(
        found,
        details={
            "se_unpaired": math.sqrt(unpaired),
            "correlation": float(np.corrcoef(x, y)[0, 1]) if varies else None,
            "variance_reduction": 1 - found.se**2 / unpaired if unpaired > 0 and found.se is not None else None,
        },
    )


def corrected_resampled_t(differences: ArrayLike, *, test_train_ratio: float, level: float = 0.95) -> TestResult:
    """t = mean(d) / sqrt((1/J + n_test / n_train) s^2) on J - 1 degrees of freedom, for J splits that share training data.

    Source: Nadeau and Bengio 2003.
    >>> round(corrected_resampled_t([0.02, 0.03, -0.01, 0.05], test_train_ratio=1 / 9).statistic, 3)
    1.498
    """
    [d], n_dropped = drop_missing(differences)
    about: dict[str, Any] = {"method": "corrected resampled t", "generalise_over": "examples", "n_dropped": n_dropped, "level": level}
    if not has_spread(d):
        return without_spread(d, **about)
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    return t_test(mean, sd * math.sqrt(1 / len(d) + test_train_ratio), len(d) - 1, n=len(d), effect=mean / sd, **about)


def noninferiority(difference: TestResult, margin: float) -> TestResult:
    """One-sided test of H0: difference <= -margin from any t result (higher is better); n, interval and unit are that result's.

    A deterministic difference (standard error 0) is decided by its value, without a p-value.

    >>> a, b = [0.81, 0.79, 0.84, 0.80], [0.78, 0.80, 0.80, 0.77]
    >>> round(noninferiority(paired_t(a, b), margin=0.01).pvalue, 4)
    0.0305
    """
    return _against_bound(difference, -abs(margin), "greater", "noninferiority")


def equivalence(difference: TestResult, low: float, high: float) -> TestResult:
    """Two one-sided tests of low < difference < high; p is the larger of the two, details hold both statistics.

    Source: Schuirmann 1987.
    >>> round(equivalence(paired_t([0.81, 0.79, 0.84, 0.80], [0.78, 0.80, 0.80, 0.77]), -0.1, 0.1).pvalue, 4)
    0.003
    """
    above, below = _against_bound(difference, low, "greater", "TOST"), _against_bound(difference, high, "less", "TOST")
    worse = above if (above.pvalue or 0.0) >= (below.pvalue or 0.0) else below
    return replace(worse, details={"t_low": above.statistic, "t_high": below.statistic, "p_low": above.pvalue, "p_high": below.pvalue})


def _against_bound(difference: TestResult, bound: float, alternative: Alternative, name: str) -> TestResult:
    method = f"{name} on {difference.method}"
    blank = replace(difference, method=method, alternative=alternative, statistic=None, pvalue=None, details={"bound": bound})
    if difference.estimate is None or not difference.se or difference.df is None:
        return blank
    statistic = (difference.estimate - bound) / difference.se
    return replace(blank, statistic=statistic, pvalue=t_pvalue(statistic, difference.df, alternative))
