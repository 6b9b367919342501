"""Simulated tuning: how often the interval of an expected best score misses, ours and a bootstrap of trials, on two sets of distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import special, stats

from .budget import expected_best, order_weights
from .calibration_metrics import Found
from .result import Floats

Quantile = Callable[[Floats], Floats]

# the rule of three groups of B trials was chosen on these
CHOSEN_ON: dict[str, Quantile] = {
    "normal dev scores": lambda u: np.asarray(0.8 + 0.03 * special.ndtri(u)),
    "left-skewed dev scores": lambda u: np.asarray(0.85 + 0.04 * np.log(u)),
    "right-skewed dev scores": lambda u: np.asarray(0.6 - 0.04 * np.log1p(-u)),
    "3 of 10 trials near chance": lambda u: np.asarray(np.where(u < 0.3, 0.5 + 0.01 * u, 0.8 + 0.03 * (u - 0.3))),
}
# and these were named after it, before they were run
FRESH: dict[str, Quantile] = {
    "learning rate, log-uniform, quadratic response": lambda u: np.asarray(0.85 - 0.3 * (1 - u) ** 2),
    "two equal modes, .55 and .80": lambda u: np.asarray(
        np.where(u < 0.5, 0.55, 0.8) + 0.02 * special.ndtri(np.clip(2 * u - (u >= 0.5), 1e-9, 1 - 1e-9))
    ),
    "8 of 10 trials at chance": lambda u: np.asarray(np.where(u < 0.8, 0.5, 0.6 + 1.25 * (u - 0.8))),
    "accuracy on 32 dev rows (ties)": lambda u: np.asarray(stats.binom.ppf(u, 32, 0.8) / 32),
    "heavy tails (t, 3 df)": lambda u: np.asarray(0.7 + 0.02 * stats.t.ppf(u, 3)),
    "Beta(2, 5)": lambda u: np.asarray(stats.beta.ppf(u, 2, 5)),
}
N_RESAMPLES = 400


def budget_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Misses of the expected best of B trials at B = 1, n / 6 and n / 3, the last budget that has an interval."""
    for name, quantile in list(CHOSEN_ON.items())[:1] if fast else CHOSEN_ON.items():
        for n in (12,) if fast else (6, 12, 24, 48):
            yield from _misses(name, quantile, n, sorted({1, max(n // 6, 1), n // 3}), simulations, rng, bootstrap=False)


def fresh_budget_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """The same on other distributions, beside the percentile bootstrap of trials up to n / 2, which is the usual choice."""
    for name, quantile in list(FRESH.items())[:1] if fast else FRESH.items():
        for n in (12,) if fast else (6, 12, 24, 48):
            yield from _misses(name, quantile, n, sorted({1, n // 3, n // 2}), simulations, rng, bootstrap=True)


def _misses(
    name: str, quantile: Quantile, n: int, budgets: list[int], simulations: int, rng: np.random.Generator, *, bootstrap: bool
) -> Iterator[Found]:
    grid = (np.arange(200_000) + 0.5) / 200_000
    scores = quantile(grid)
    # E[max of B] as the mean of the quantiles of the best of B
    truth = np.array([float(np.mean(scores * b * grid ** (b - 1))) for b in budgets])
    picked = np.array(budgets) - 1
    weights = order_weights(n)[picked].T
    missed = np.zeros((2, len(budgets)), dtype=int)
    for _ in range(simulations):
        values = quantile(rng.random(n))
        found = expected_best(values)
        missed[0] += (truth < found.low[picked]) | (truth > found.high[picked])
        if bootstrap:
            drawn = np.sort(values[rng.integers(n, size=(N_RESAMPLES, n))], axis=1) @ weights
            low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
            missed[1] += (truth < low - 1e-12) | (truth > high + 1e-12)
    for b, ours, theirs in zip(budgets, *missed.tolist()):
        regime = f"{name}, best of {b} of {n}"
        if b <= n // 3:
            yield regime, "expected best of B, jackknife t", "tuning trials", ours, simulations, None, False
        if bootstrap:
            yield regime, "percentile bootstrap of trials", "tuning trials", theirs, simulations, None, False
