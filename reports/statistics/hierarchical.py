"""One difference over many tasks when each task's difference comes with its own standard error: random effects, Bayesian and not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from .result import Floats, TestResult, drop_missing

SMALLEST_ERROR = 1e-6  # stands in for a standard error of 0, which would give a task all the weight
GRID = 4001

TauPrior = Literal["flat", "half-t"]


@dataclass(frozen=True, kw_only=True)
class TaskEffects:
    """Posterior of the mean difference mu over tasks, its spread tau between tasks, and each task's own difference.

    p_worse, p_equal, p_better : of mu against the rope; new_* : the same for the difference on a further task, N(mu, tau^2)
    task_means, task_sds : [tasks], shrunken towards mu
    """

    mu: float | None
    mu_sd: float | None
    mu_low: float | None
    mu_high: float | None
    p_worse: float | None
    p_equal: float | None
    p_better: float | None
    tau_median: float | None
    tau_mean: float | None
    new_p_worse: float | None
    new_p_equal: float | None
    new_p_better: float | None
    task_means: Floats
    task_sds: Floats
    n: int
    rope: float
    level: float
    n_dropped: int = 0
    degenerate: str | None = None
    note: str | None = None


def task_effects(
    differences: ArrayLike,
    standard_errors: ArrayLike,
    *,
    rope: float = 0.01,
    level: float = 0.95,
    prior: TauPrior = "flat",
    tau_max: float | None = None,
    tau_scale: float | None = None,
) -> TaskEffects:
    """d_t ~ N(delta_t, s_t^2), delta_t ~ N(mu, tau^2), mu flat; tau integrated on a grid, no sampling.

    p(tau | d) ~ p(tau) V^(1/2) prod_t (s_t^2 + tau^2)^(-1/2) exp(-(d_t - m)^2 / (2 (s_t^2 + tau^2))), with precision-weighted mean m and V = 1 / sum of
    precisions. prior : "flat" on [0, tau_max] (default 10 times the larger of the spread of d and the typical s), or "half-t" with 4 df and `tau_scale`.
    With two tasks tau cannot be learned: only mu is reported.
    Source: Gelman et al., Bayesian Data Analysis, section 5.4.

    >>> found = task_effects([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18], rope=0, tau_max=60)
    >>> round(found.mu, 2), round(found.tau_median, 2)
    (7.93, 5.24)
    """
    (d, s), dropped = drop_missing(differences, standard_errors)
    note = "a standard error of 0 was raised to 1e-6" if (s <= 0).any() else None
    s = np.maximum(s, SMALLEST_ERROR)
    n = len(d)
    if n < 2:
        return _undefined(n, rope, level, dropped)
    if tau_max is None:
        tau_max = 10 * max(float(d.std(ddof=1)), float(np.sqrt((s**2).mean())))
    tau = tau_max * np.linspace(0, 1, GRID) ** 2  # finer near 0, where the posterior bends
    weight, mean, variance = _tau_posterior(d, s, tau, prior, tau_scale or tau_max / 10)
    mu = float(weight @ mean)
    mu_sd = math.sqrt(max(float(weight @ (variance + mean**2)) - mu**2, 0.0))
    below, above = _beyond(rope, weight, mean, np.sqrt(variance))
    low, high = (_quantile(q, weight, mean, np.sqrt(variance)) for q in ((1 - level) / 2, (1 + level) / 2))
    known = n >= 3
    new_below, new_above = _beyond(rope, weight, mean, np.sqrt(variance + tau**2))
    task_means, task_sds = _shrunken(d, s, tau, weight, mean, variance)
    return TaskEffects(
        mu=mu, mu_sd=mu_sd, mu_low=low, mu_high=high, p_worse=below, p_equal=max(1 - below - above, 0.0), p_better=above,
        tau_median=float(np.interp(0.5, np.cumsum(weight) - weight / 2, tau)) if known else None,
        tau_mean=float(weight @ tau) if known else None,
        new_p_worse=new_below if known else None, new_p_equal=max(1 - new_below - new_above, 0.0) if known else None,
        new_p_better=new_above if known else None,
        task_means=task_means if known else np.full(n, np.nan), task_sds=task_sds if known else np.full(n, np.nan),
        n=n, rope=rope, level=level, n_dropped=dropped, note=note,
        degenerate=None if known else "two tasks: the spread between tasks is unknown, mu rests on the prior's limit",
    )  # fmt: skip


def _tau_posterior(d: Floats, s: Floats, tau: Floats, prior: TauPrior, scale: float) -> tuple[Floats, Floats, Floats]:
    """Weights over the grid (trapezoid), and mean and variance of mu given tau."""
    total = s**2 + tau[:, None] ** 2
    variance = 1 / (1 / total).sum(axis=1)
    mean = variance * (d / total).sum(axis=1)
    log_density = 0.5 * np.log(variance) - 0.5 * np.log(total).sum(axis=1) - 0.5 * ((d - mean[:, None]) ** 2 / total).sum(axis=1)
    if prior == "half-t":
        log_density = log_density + stats.t.logpdf(tau / scale, 4)
    elif prior != "flat":
        raise ValueError(f"prior is 'flat' or 'half-t', not {prior!r}")
    step = np.diff(tau, prepend=tau[0]) / 2 + np.diff(tau, append=tau[-1]) / 2
    density = np.exp(log_density - log_density.max()) * step
    return density / density.sum(), mean, variance


def _shrunken(d: Floats, s: Floats, tau: Floats, weight: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Posterior mean and standard deviation of each task's own difference."""
    keep = tau[:, None] ** 2 / (s**2 + tau[:, None] ** 2)  # share of a task's own difference that survives shrinking
    centre = keep * d + (1 - keep) * mean[:, None]
    spread = keep * s**2 + (1 - keep) ** 2 * variance[:, None]
    means = weight @ centre
    return means, np.sqrt(np.maximum(weight @ (spread + centre**2) - means**2, 0.0))


def _beyond(rope: float, weight: Floats, mean: Floats, sd: Floats) -> tuple[float, float]:
    """Mixture probabilities below -rope and above rope."""
    return float(weight @ stats.norm.cdf(-rope, mean, sd)), float(weight @ stats.norm.sf(rope, mean, sd))


def _quantile(q: float, weight: Floats, mean: Floats, sd: Floats) -> float:
    def excess(x: float) -> float:
        return float(weight @ stats.norm.cdf(x, mean, sd)) - q

    # the mixture's quantile lies between the smallest and the largest of its parts
    ends = mean + float(stats.norm.ppf(q)) * sd
    low, high = float(ends.min()) - 1e-9, float(ends.max()) + 1e-9
    return float(optimize.brentq(excess, low, high)) if excess(low) < 0 < excess(high) else low


def _undefined(n: int, rope: float, level: float, dropped: int) -> TaskEffects:
    return TaskEffects(
        mu=None, mu_sd=None, mu_low=None, mu_high=None, p_worse=None, p_equal=None, p_better=None, tau_median=None, tau_mean=None,
        new_p_worse=None, new_p_equal=None, new_p_better=None, task_means=np.full(n, np.nan), task_sds=np.full(n, np.nan), n=n,
        rope=rope, level=level, n_dropped=dropped, degenerate="fewer than two tasks",
    )  # fmt: skip


def random_effects(
    differences: ArrayLike,
    standard_errors: ArrayLike,
    *,
    method: Literal["dersimonian-laird", "paule-mandel"] = "dersimonian-laird",
    level: float = 0.95,
) -> TestResult:
    """Random-effects mean over tasks, the fast line beside `task_effects`: weights 1 / (s_t^2 + tau^2), tau^2 never below 0.

    dersimonian-laird : tau^2 = (Q - (T - 1)) / (sum w - sum w^2 / sum w) with w = 1 / s^2; paule-mandel : the tau^2 at which Q(tau^2) = T - 1.
    Interval and test with Hartung and Knapp's standard error (never below the plain one) and t on T - 1 df: the plain normal interval is too narrow
    for few tasks. details : tau2, Q, and fixed, the mean at tau = 0.

    >>> found = random_effects([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
    >>> round(found.estimate, 3), found.details["tau2"]
    (7.686, 0.0)
    """
    (d, s), dropped = drop_missing(differences, standard_errors)
    note = "a standard error of 0 was raised to 1e-6" if (s <= 0).any() else None
    n, name = len(d), f"random effects, {method}"
    if n < 2:
        return TestResult(method=name, n=n, n_dropped=dropped, generalise_over="tasks", degenerate="fewer than two tasks")
    s2 = np.maximum(s, SMALLEST_ERROR) ** 2

    def weighted(tau2: float) -> tuple[float, float, float]:
        w = 1 / (s2 + tau2)
        mean = float(w @ d / w.sum())
        return mean, float(w.sum()), float(w @ (d - mean) ** 2)

    fixed, total, q = weighted(0.0)
    if method == "dersimonian-laird":
        tau2 = max((q - (n - 1)) / (total - float(((1 / s2) ** 2).sum()) / total), 0.0)
    else:
        tau2 = _paule_mandel(lambda value: weighted(value)[2] - (n - 1), float(d.var(ddof=1)))
    mean, total, spread = weighted(tau2)
    se = math.sqrt(max(spread / (n - 1), 1.0) / total)
    t = mean / se
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * se
    return TestResult(
        method=name, n=n, n_dropped=dropped, generalise_over="tasks", estimate=mean, se=se, ci_low=mean - half, ci_high=mean + half,
        level=level, statistic=t, df=float(n - 1), pvalue=float(2 * stats.t.sf(abs(t), n - 1)), note=note,
        details={"tau2": tau2, "Q": q, "fixed": fixed},
    )  # fmt: skip


def _paule_mandel(excess: Callable[[float], float], scale: float) -> float:
    if excess(0.0) <= 0:
        return 0.0
    high = max(scale, SMALLEST_ERROR)
    while excess(high) > 0:
        high *= 2
    return float(optimize.brentq(excess, 0.0, high))
