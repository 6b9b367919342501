"""Intervals for one cell (a method on a task) over its seeds, and for proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from .result import TIE_TOLERANCE, Floats, GeneraliseOver, TestResult, as_vector, drop_missing

ProportionMethod = Literal["wilson", "clopper-pearson", "jeffreys", "normal"]


@dataclass(frozen=True, kw_only=True)
class CellSummary:
    """One cell of a results table. `sd` and `interval` are both given, and labelled, because "+-" alone says neither."""

    mean: float | None
    sd: float | None
    sem: float | None
    n_ok: int
    n_failed: int
    interval: TestResult
    failure_rate: TestResult
    deterministic: bool = False


@dataclass(frozen=True, kw_only=True)
class RobustLine:
    """Order statistics of a cell beside its mean: with diverged runs no interval for the mean is right, so they are shown."""

    median: float | None
    mad: float | None
    minimum: float | None
    maximum: float | None
    failure_rate: TestResult
    bimodal: bool
    reason: str | None


def t_interval(
    estimate: float, se: float, df: float, *, n: int, method: str, generalise_over: GeneraliseOver, level: float = 0.95, n_dropped: int = 0
) -> TestResult:
    """estimate -+ t_{df, (1 + level) / 2} se."""
    reach = float(special.stdtrit(df, (1 + level) / 2)) * se
    return TestResult(
        method=method, n=n, generalise_over=generalise_over, estimate=estimate, se=se, df=df, level=level,
        ci_low=estimate - reach, ci_high=estimate + reach, n_dropped=n_dropped,
    )  # fmt: skip


def mean_interval(values: ArrayLike, *, level: float = 0.95, generalise_over: GeneraliseOver = "seeds") -> TestResult:
    """Mean -+ t_{n-1} sd / sqrt(n), sd with ddof 1; missing values are left out and counted.

    It is the default for few seeds: at n = 5 its coverage is about .95 on normal scores where the bootstrap's is about .85. One value
    has no interval; equal values have a point.

    Source: Student 1908.
    >>> found = mean_interval([0.71, 0.74, 0.69, 0.73, 0.72])
    >>> round(found.ci_low, 4), round(found.ci_high, 4)
    (0.6941, 0.7419)
    """
    [x], n_dropped = drop_missing(values)
    n, method = len(x), "t interval of the mean"
    if n < 2:
        estimate = float(x[0]) if n else None
        reason = "one value" if n else "no values"
        return TestResult(
            method=method, n=n, generalise_over=generalise_over, estimate=estimate, level=level, n_dropped=n_dropped, degenerate=reason
        )
    if constant(x):
        point = float(np.median(x))
        return TestResult(
            method=method, n=n, generalise_over=generalise_over, estimate=point, se=0.0, df=n - 1, level=level, ci_low=point, ci_high=point,
            n_dropped=n_dropped, degenerate="zero variance", details={"sd": 0.0},
        )  # fmt: skip
    se = float(x.std(ddof=1)) / math.sqrt(n)
    return t_interval(float(x.mean()), se, n - 1, n=n, method=method, generalise_over=generalise_over, level=level, n_dropped=n_dropped)


def constant(x: Floats) -> bool:
    """Whether all values agree to 12 significant decimals."""
    return bool(np.ptp(x) <= TIE_TOLERANCE * np.abs(x).max()) if len(x) else True


def cell_mean(
    scores: ArrayLike,
    *,
    level: float = 0.95,
    floor: float | None = None,
    deterministic: bool = False,
    examples: ArrayLike | None = None,
) -> CellSummary:
    """Mean, sd, sem and t interval of one cell's seeds; NaN marks a failed run.

    floor : the score that the task declares for a failed run. Given, failed runs count with it (intention to treat, the primary rule);
        otherwise they are left out (complete case). Both count them in `n_failed` and `failure_rate`.
    deterministic : the method declares no randomness, so that a spread of 0 over seeds is its property and not a small sample.
    examples : per-example scores of the one run, used when a single seed is there; that interval says nothing about seeds.

    >>> cell_mean([0.8]).sd is None
    True
    """
    runs = as_vector(scores, "scores")
    failed = ~np.isfinite(runs)
    n_failed = int(np.count_nonzero(failed))
    used = runs[~failed] if floor is None else np.where(failed, floor, runs)
    interval = mean_interval(used, level=level)
    if len(used) == 1 and examples is not None:
        over_examples = mean_interval(examples, level=level, generalise_over="examples")
        interval = replace(over_examples, note="one seed: seed variance unknown")
    elif deterministic and interval.degenerate == "zero variance":
        interval = replace(interval, note="deterministic method")
    sd = float(used.std(ddof=1)) if len(used) > 1 else None
    if interval.degenerate == "zero variance" and sd is not None:
        sd = 0.0
    return CellSummary(
        mean=float(used.mean()) if len(used) else None,
        sd=sd,
        sem=None if sd is None else sd / math.sqrt(len(used)),
        n_ok=len(runs) - n_failed,
        n_failed=n_failed,
        interval=interval,
        failure_rate=proportion_interval(n_failed, len(runs), level=level, generalise_over="seeds"),
        deterministic=deterministic,
    )


def proportion_interval(
    successes: int, n: int, *, method: ProportionMethod = "wilson", level: float = 0.95, generalise_over: GeneraliseOver = "examples"
) -> TestResult:
    """Interval of a proportion: Wilson (default), Clopper-Pearson, Jeffreys; normal only where n p and n (1 - p) reach 10.

    Wilson: (p + z^2/2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), clipped to [0, 1]. Jeffreys: quantiles of
    Beta(k + 1/2, n - k + 1/2), also at k = 0 and k = n.

    Source: Wilson 1927; Clopper and Pearson 1934; Brown, Cai and DasGupta 2001.
    >>> [round(end, 4) for end in proportion_interval(870, 1000).interval]
    [0.8477, 0.8894]
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no proportion")
    if n == 0:
        return TestResult(method=f"{method} interval", n=0, generalise_over=generalise_over, level=level, degenerate="no values")
    p = successes / n
    low, high = _proportion_ends(successes, n, method, 1 - level)
    return TestResult(
        method=f"{method} interval", n=n, generalise_over=generalise_over, estimate=p, level=level,
        ci_low=min(max(low, 0.0), 1.0), ci_high=min(max(high, 0.0), 1.0), details={"successes": successes},
    )  # fmt: skip


def _proportion_ends(successes: int, n: int, method: ProportionMethod, alpha: float) -> tuple[float, float]:
    p, failures = successes / n, n - successes
    z = float(stats.norm.isf(alpha / 2))
    if method == "wilson":
        centre, reach = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        low, high = (centre - reach) / (1 + z**2 / n), (centre + reach) / (1 + z**2 / n)
        # at the edges the formula is exactly 0 or 1; float64 is not
        return (0.0 if successes == 0 else low), (1.0 if failures == 0 else high)
    if method == "clopper-pearson":
        low = float(stats.beta.ppf(alpha / 2, successes, failures + 1)) if successes else 0.0
        high = float(stats.beta.isf(alpha / 2, successes + 1, failures)) if failures else 1.0
        return low, high
    if method == "jeffreys":
        posterior = stats.beta(successes + 0.5, failures + 0.5)
        return float(posterior.ppf(alpha / 2)), float(posterior.isf(alpha / 2))
    if method == "normal":
        if min(successes, failures) < 10:
            raise ValueError(f"the normal approximation is not used with {min(successes, failures)} of {n}: take wilson")
        reach = z * math.sqrt(p * (1 - p) / n)
        return p - reach, p + reach
    raise ValueError(f"unknown interval {method!r}")


def failure_rate(failed: ArrayLike, *, level: float = 0.95) -> TestResult:
    """Share of failed runs with its Wilson interval, for the column beside the mean.

    >>> failure_rate([False, False, True, False]).estimate
    0.25
    """
    flags = np.asarray(failed, dtype=bool)
    return proportion_interval(int(np.count_nonzero(flags)), flags.size, level=level, generalise_over="seeds")


def robust_line(
    scores: ArrayLike, *, chance: float | None = None, chance_band: float = 0.02, level: float = 0.95, higher_is_better: bool = True
) -> RobustLine:
    """Median, unscaled MAD, extremes, failure rate, and whether the runs look like two groups.

    Bimodal: the worst run lies more than 3 interquartile ranges beyond the lower quartile, or within `chance_band` of the chance score
    while the median does not.

    >>> robust_line([0.91, 0.92, 0.90, 0.50, 0.91], chance=0.5).bimodal
    True
    """
    runs = as_vector(scores, "scores")
    rate = failure_rate(~np.isfinite(runs), level=level)
    x = runs[np.isfinite(runs)]
    if not len(x):
        return RobustLine(median=None, mad=None, minimum=None, maximum=None, failure_rate=rate, bimodal=False, reason="no values")
    centre = float(np.median(x))
    sign = 1.0 if higher_is_better else -1.0
    worst = float((sign * x).min())
    lower, upper = np.percentile(sign * x, [25, 75])
    reason = None
    if len(x) >= 4 and worst < lower - 3 * (upper - lower) - TIE_TOLERANCE:
        reason = "a run lies more than 3 interquartile ranges below the lower quartile"
    if chance is not None and worst <= sign * chance + chance_band < sign * centre:
        reason = "a run is at chance level"
    return RobustLine(
        median=centre,
        mad=float(np.median(np.abs(x - centre))),
        minimum=float(x.min()),
        maximum=float(x.max()),
        failure_rate=rate,
        bimodal=reason is not None,
        reason=reason,
    )
