"""What the next run may score before it is suspect: prediction limits from history, and a cumulative sum for slow drift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..statistics.result import Direction, Floats, TestResult, as_vector, orient

LEAST_HISTORY = 6  # with fewer runs the limit is wider than any loss of interest: the margin decides instead


def prediction_limit(
    history: ArrayLike,
    *,
    tail: float = 0.01,
    side: Literal["lower", "upper"] = "lower",
    history_se: ArrayLike | None = None,
    next_se: float | None = None,
    least: int = LEAST_HISTORY,
) -> TestResult:
    """One-sided limit for the next run: mean -+ t_{n-1, 1-tail} sqrt(variance of the next + s^2 / n), from runs without a step between them.

    The next run varies by s^2, as the history did. If it has another number of seeds, give the standard errors of both: then its variance is
    max(s^2 - mean history_se^2, 0) + next_se^2, what varies between runs apart from seeds plus its own seed noise.
    history : scores of runs on one machine since the last step. Fewer than `least` give no limit.

    >>> round(prediction_limit([0.80, 0.81, 0.79, 0.80, 0.80, 0.81]).ci_low, 4)
    0.7743
    """
    y = as_vector(history, "history")
    y = y[np.isfinite(y)]
    n, name = len(y), f"{side} prediction limit"
    if n < max(least, 2):
        return TestResult(method=name, n=n, level=1 - tail, degenerate=f"fewer than {max(least, 2)} runs")
    mean, variance = float(y.mean()), float(y.var(ddof=1)) if np.ptp(y) > 0 else 0.0
    coming = variance
    if history_se is not None and next_se is not None:
        known = as_vector(history_se, "history_se")
        coming = max(variance - float(np.nanmean(known**2)), 0.0) + next_se**2
    half = float(stats.t.ppf(1 - tail, n - 1)) * math.sqrt(coming + variance / n)
    low, high = (mean - half, None) if side == "lower" else (None, mean + half)
    return TestResult(
        method=name, n=n, estimate=mean, se=math.sqrt(coming + variance / n), df=float(n - 1), ci_low=low, ci_high=high, level=1 - tail,
        degenerate="zero variance" if half == 0 else None,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Cumulative sum of losses beyond what a drift of interest allows.

    path : [runs], in units of sd; alarm : first run at which it passed the threshold; onset : the run after it last stood at 0 before the alarm
    """

    path: Floats
    alarm: int | None
    onset: int | None
    threshold: float
    allowance: float
    degenerate: str | None = None


def cusum(
    values: ArrayLike, *, target: float, sd: float, shift: float = 1.0, threshold: float = 5.0, direction: Direction = "higher"
) -> Drift:
    """One-sided CUSUM for a lasting loss: C_t = max(0, C_{t-1} + (target - y_t) / sd - shift / 2), alarm when C_t > threshold.

    It adds up losses too small for a limit on single runs. target, sd : from a stretch without a step, sd the long-run one if runs are correlated.
    shift : the drift to be found, in sd. With shift 1 and threshold 5 white noise alarms once in about 930 runs, and a true shift is found after about 10.
    Missing values leave the sum as it is. Source: Page 1954.

    >>> cusum([0.80, 0.81, 0.79, 0.78, 0.78, 0.78, 0.78], target=0.80, sd=0.01).alarm
    5
    """
    y = orient(as_vector(values), direction)
    goal = target if direction == "higher" else -target
    if sd <= 0 or not math.isfinite(sd):
        return Drift(
            path=np.full(len(y), np.nan), alarm=None, onset=None, threshold=threshold, allowance=shift / 2, degenerate="zero variance"
        )
    path, total, onset, start, alarm = np.zeros(len(y)), 0.0, None, 0, None
    for t, value in enumerate(y):
        if math.isfinite(value):
            total = max(0.0, total + (goal - value) / sd - shift / 2)
        path[t] = total
        if total == 0.0:
            start = t + 1
        if alarm is None and total > threshold:
            alarm, onset = t, start
    return Drift(path=path, alarm=alarm, onset=onset, threshold=threshold, allowance=shift / 2)
