"""Effect sizes: in points, relative to the error, standardised, and as the chance that one run beats another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from .intervals import constant
from .result import Floats, TestResult, drop_missing, round_ties, rounded_difference


def relative_error_reduction(a: float, b: float, *, ceiling: float = 1.0) -> float | None:
    """Share of b's error that a removes, (a - b) / (ceiling - b); None where b has no error left.

    >>> round(relative_error_reduction(0.95, 0.90), 6)
    0.5
    """
    return None if b == ceiling else (a - b) / (ceiling - b)


def _standardised(difference: float, spread: float) -> float:
    # without variance a difference is infinitely many standard deviations, printed as "inf (no variance)"
    if spread == 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / spread


def _sd(x: Floats) -> float:
    return 0.0 if constant(x) else float(x.std(ddof=1))


def cohen_d(x: ArrayLike, y: ArrayLike) -> float | None:
    """Difference of means over the pooled sd (n + m - 2 degrees of freedom); 0 if both vanish, infinite if only the sd does.

    Source: Cohen 1988.
    >>> round(cohen_d([0.71, 0.74, 0.69, 0.73, 0.72], [0.70, 0.71, 0.72, 0.68]), 4)
    0.8451
    """
    ([a], _), ([b], _) = drop_missing(x), drop_missing(y)
    if not len(a) or not len(b) or len(a) + len(b) < 3:
        return None
    squares = sum(_sd(side) ** 2 * (len(side) - 1) for side in (a, b) if len(side) > 1)
    difference = float(rounded_difference(a.mean(), b.mean()))
    return _standardised(difference, math.sqrt(squares / (len(a) + len(b) - 2)))


def hedges_g(x: ArrayLike, y: ArrayLike) -> float | None:
    """Cohen's d times Gamma(v/2) / (sqrt(v/2) Gamma((v-1)/2)), v = n + m - 2, which removes its bias in small samples.

    Source: Hedges 1981.
    >>> round(hedges_g([0.71, 0.74, 0.69, 0.73, 0.72], [0.70, 0.71, 0.72, 0.68]), 4)
    0.7506
    """
    d = cohen_d(x, y)
    n = len(drop_missing(x)[0][0]) + len(drop_missing(y)[0][0])
    if d is None or n < 4:
        return None
    v = n - 2
    return d * math.exp(float(special.gammaln(v / 2) - special.gammaln((v - 1) / 2))) / math.sqrt(v / 2)


def cohen_dz(a: ArrayLike, b: ArrayLike) -> float | None:
    """mean(a - b) / sd(a - b): the effect that a paired t test's power depends on.

    >>> cohen_dz([0.5, 0.6], [0.5, 0.6])
    0.0
    """
    (x, y), _ = drop_missing(a, b)
    d = rounded_difference(x, y)
    return _standardised(float(d.mean()), _sd(d)) if len(d) > 1 else None


def cohen_dav(a: ArrayLike, b: ArrayLike) -> float | None:
    """mean(a - b) / sqrt((s_a^2 + s_b^2) / 2): comparable with unpaired studies, other than d_z.

    Source: Cumming 2012.
    >>> round(cohen_dav([0.81, 0.79, 0.84, 0.80], [0.78, 0.80, 0.80, 0.77]), 3)
    1.21
    """
    (x, y), _ = drop_missing(a, b)
    if len(x) < 2:
        return None
    difference = float(rounded_difference(x, y).mean())
    return _standardised(difference, math.sqrt((_sd(x) ** 2 + _sd(y) ** 2) / 2))


def placements(x: Floats, y: Floats) -> Floats:
    """[n, m] of 1 where x_i > y_j, 1/2 where they tie (to 12 significant decimals)."""
    both = round_ties(np.concatenate([x, y]))
    left, right = both[: len(x), None], both[None, len(x) :]
    return np.asarray((left > right) + 0.5 * (left == right), dtype=np.float64)


def cliffs_delta(x: ArrayLike, y: ArrayLike) -> float | None:
    """P(X > Y) - P(X < Y).

    Source: Cliff 1993.
    >>> cliffs_delta([0.71, 0.74, 0.69, 0.73, 0.72], [0.70, 0.71, 0.72, 0.68])
    0.5
    """
    superiority = probability_of_superiority(x, y).estimate
    return None if superiority is None else 2 * superiority - 1


def probability_of_superiority(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> TestResult:
    """P(X > Y) + P(X = Y) / 2 = U / (n m), with DeLong's standard error and an interval on the logit scale.

    Var = s^2(mean over y of psi(x_i, y)) / n + s^2(mean over x of psi(x, y_j)) / m. Complete separation has no interval from it.

    Source: DeLong, DeLong and Clarke-Pearson 1988.
    >>> probability_of_superiority([0.71, 0.74, 0.69, 0.73, 0.72], [0.70, 0.71, 0.72, 0.68]).estimate
    0.75
    """
    return probability_of_improvement([x], [y], level=level)


def probability_of_improvement(x: Sequence[ArrayLike], y: Sequence[ArrayLike], *, level: float = 0.95) -> TestResult:
    """Average over tasks of P(X > Y) + P(X = Y) / 2; x[t], y[t] hold the runs of task t. Tasks are fixed, seeds are drawn anew.

    The tasks' DeLong variances are added and divided by T^2. A task without runs on a side makes it undefined.

    Source: Agarwal et al. 2021 (rliable) for the average.
    >>> probability_of_improvement([[0.9, 0.8], [0.5, 0.6]], [[0.7, 0.7], [0.5, 0.6]]).estimate
    0.75
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} tasks")
    tables, n, n_dropped = [], 0, 0
    for left, right in zip(x, y):
        ([a], drop_a), ([b], drop_b) = drop_missing(left), drop_missing(right)
        n, n_dropped = n + len(a) + len(b), n_dropped + drop_a + drop_b
        tables.append(placements(a, b))
    about: dict[str, Any] = {"generalise_over": "seeds", "level": level, "n": n, "n_dropped": n_dropped}
    about["method"] = "probability of superiority" if len(x) == 1 else "probability of improvement"
    if not tables or any(not table.size for table in tables):
        return TestResult(degenerate="a task without runs" if tables else "no tasks", **about)
    estimate = float(np.mean([table.mean() for table in tables]))
    about |= {"estimate": estimate, "effect": 2 * estimate - 1}
    if any(min(table.shape) < 2 for table in tables):
        return TestResult(degenerate="fewer than two runs on a side", **about)
    variance = sum(
        float(table.mean(1).var(ddof=1)) / table.shape[0] + float(table.mean(0).var(ddof=1)) / table.shape[1] for table in tables
    )
    se = math.sqrt(variance) / len(tables)
    if se == 0:
        return TestResult(degenerate="complete separation" if estimate in (0.0, 1.0) else "zero variance", **about)
    reach = float(stats.norm.isf((1 - level) / 2)) * se / (estimate * (1 - estimate))
    low, high = (float(special.expit(special.logit(estimate) + move)) for move in (-reach, reach))
    return TestResult(se=se, ci_low=low, ci_high=high, **about)


def magnitude(effect: float, measure: str = "d") -> str:
    """Cohen's and Romano's words, for tooltips only: what is large depends on the task.

    >>> magnitude(0.3), magnitude(0.5, "delta")
    ('small', 'large')
    """
    bounds = {"d": (0.2, 0.5, 0.8), "delta": (0.147, 0.33, 0.474)}[measure]
    return ("negligible", "small", "medium", "large")[int(np.searchsorted(bounds, abs(effect), side="right"))]
