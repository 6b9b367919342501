"""What a published summary (mean, spread, n) still allows: an interval of the mean, and Welch's test. Nothing paired, nothing per example."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .intervals import t_interval
from .result import GeneraliseOver, TestResult
from .t_tests import t_test

Summary = tuple[float, float | None, int | None, str | None]
COVERED: dict[str, GeneraliseOver] = {"seeds": "seeds", "examples": "examples"}


def why_not(sd: float | None, n: int | None, covers: str | None) -> str | None:
    """Why a summary allows no interval, or None."""
    if sd is None:
        return "no spread was published"
    if n is None:
        return "the number of runs behind the spread was not published"
    if covers not in COVERED:
        return "what the spread covers was not published"
    return "one run" if n < 2 else None


def summary_interval(mean: float, sd: float | None, n: int | None, covers: str | None, *, level: float) -> TestResult:
    """mean -+ t_{n-1} sd / sqrt(n), over what the published spread covers."""
    method, over = "t interval from a published summary", COVERED.get(covers or "", "seeds")
    reason = why_not(sd, n, covers)
    if reason or sd is None or n is None:
        return TestResult(method=method, n=n or 1, generalise_over=over, estimate=mean, level=level, degenerate=reason)
    if sd == 0:
        return TestResult(
            method=method,
            n=n,
            generalise_over=over,
            estimate=mean,
            se=0.0,
            ci_low=mean,
            ci_high=mean,
            level=level,
            degenerate="zero variance",
        )
    return t_interval(mean, sd / math.sqrt(n), n - 1, n=n, method=method, generalise_over=over, level=level)


def welch_from_summaries(a: Summary, b: Summary, *, level: float) -> TestResult:
    """Welch's t for two published summaries: t = (m_a - m_b) / sqrt(s_a^2/n_a + s_b^2/n_b), Satterthwaite's df.

    Runs cannot be paired, so what the two arms share (rows, examples) widens the interval instead of cancelling. Source: Welch 1947.
    >>> round(welch_from_summaries((0.8, 0.02, 5, "seeds"), (0.75, 0.03, 5, "seeds"), level=0.95).pvalue, 3)
    0.017
    """
    (mean_a, sd_a, n_a, covers_a), (mean_b, sd_b, n_b, covers_b) = a, b
    about: dict[str, Any] = {"method": "Welch t from summaries", "n": (n_a or 1) + (n_b or 1), "level": level}
    about["generalise_over"] = COVERED.get(covers_a or "", "seeds")
    reason = why_not(sd_a, n_a, covers_a) or why_not(sd_b, n_b, covers_b)
    if covers_a != covers_b:
        reason = reason or f"one spread covers {covers_a}, the other {covers_b}"
    if reason or sd_a is None or sd_b is None or n_a is None or n_b is None:
        return TestResult(estimate=mean_a - mean_b, degenerate=reason, **about)
    parts = np.array([sd_a**2 / n_a, sd_b**2 / n_b])
    if parts.sum() == 0:
        return TestResult(estimate=mean_a - mean_b, degenerate="zero variance", **about)
    df = float(parts.sum() ** 2 / (parts[0] ** 2 / (n_a - 1) + parts[1] ** 2 / (n_b - 1)))
    return t_test(mean_a - mean_b, math.sqrt(parts.sum()), df, details={"n_a": n_a, "n_b": n_b}, **about)
