"""Simulated models over tasks, wins per example, dominance of runs, and looking many times: how often what the report prints is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import stats

from .adjust import partial_conjunction
from .aso import almost_stochastic_order
from .bradley_terry import fit_bradley_terry, wins_from_scores
from .calibration_metrics import Found
from .hierarchical import random_effects, task_effects
from .sequential import empirical_bernstein_sequence, normal_mixture_sequence

ALPHA = 0.05
# name, tasks, spread of the true differences between tasks, standard error of each
MODELS: tuple[tuple[str, int, float, float], ...] = (
    ("3 tasks, equal differences", 3, 0.0, 0.01),
    ("3 tasks, differences vary", 3, 0.02, 0.01),
    ("5 tasks, differences vary", 5, 0.02, 0.01),
    ("10 tasks, equal differences", 10, 0.0, 0.01),
    ("10 tasks, differences vary", 10, 0.02, 0.01),
    ("10 tasks, differences vary, skewed", 10, -0.02, 0.01),
)


def model_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Intervals of the mean difference over tasks that miss it (0). Standard errors are estimates on 40 degrees of freedom."""
    for name, tasks, tau, se in MODELS[4:5] if fast else MODELS:
        missed, hits = [0, 0], [0, 0]
        for target, n, mu in ((missed, simulations, 0.0), (hits, simulations // 2, 0.03)):
            for _ in range(n):
                spread = rng.exponential(size=tasks) - 1 if tau < 0 else rng.normal(size=tasks)
                d = mu + abs(tau) * spread + se * rng.normal(size=tasks)
                s = se * np.sqrt(rng.chisquare(40, size=tasks) / 40)
                bayes = task_effects(d, s)
                target[0] += not (bayes.mu_low or 0.0) <= 0 <= (bayes.mu_high or 0.0)
                target[1] += (random_effects(d, s).pvalue or 1.0) <= ALPHA
        for index, procedure in enumerate(("hierarchical model, interval of mu", "random effects, Hartung-Knapp")):
            yield name, procedure, "tasks", missed[index], simulations, hits[index] / (simulations // 2), False


def dominance_errors(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """ASO claims dominance (eps_min under .2) of one of two equal methods; and shows "almost" dominance (under .5)."""
    for runs in (5,) if fast else (3, 5, 10, 20):
        claims = np.zeros(2, dtype=int)
        hits = np.zeros(2, dtype=int)
        for target, n, shift in ((claims, simulations, 0.0), (hits, simulations // 2, 2.0)):
            for _ in range(n):
                a, b = shift + rng.normal(size=runs), rng.normal(size=runs)
                bound = almost_stochastic_order(a, b, rng=rng, n_resamples=300).effect or 1.0
                target += np.array([bound < 0.2, bound < 0.5])
        for index, what in enumerate(("ASO, claim (eps_min < .2)", "ASO, almost (eps_min < .5)")):
            power = float(hits[index]) / (simulations // 2)
            yield f"{runs} v {runs} runs", what, "seeds", int(claims[index]), simulations, power, False


def strength_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Bradley-Terry from wins per example, four equal methods: intervals of a difference in strength that miss 0."""
    designs = ((200, 0.0, False), (200, 1.0, False), (200, 0.3, True), (30, 1.0, False))
    for examples, own, seeds_vary in designs[:1] if fast else designs:
        missed = 0
        for _ in range(simulations):
            logit = 0.5 + rng.normal(size=(examples, 1)) + own * rng.normal(size=(examples, 4))
            if seeds_vary:
                logit = logit + 0.5 * rng.normal(size=(1, 4))
            scores = (rng.random((examples, 4)) < 1 / (1 + np.exp(-logit))).astype(np.float64)
            fit = fit_bradley_terry(wins_from_scores(scores))
            error = fit.difference_error(0, 1)
            missed += error is not None and abs(fit.theta[0] - fit.theta[1]) > stats.norm.isf(ALPHA / 2) * error
        name = (
            f"4 methods, {examples} examples" + (", differing per example" if own == 1.0 else "") + (", seeds vary" if seeds_vary else "")
        )
        yield name, "Bradley-Terry, interval of a difference", "examples", missed, simulations, None, seeds_vary


def sequence_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Sequences that miss the truth at any look: examples one by one (differences of 0/1 scores), and runs one by one."""
    designs = (("balanced", 0.15, 0.15), ("rare", 0.01, 0.01), ("one-sided truth", 0.30, 0.05))
    for name, wins, losses in designs[:1] if fast else designs:
        ever, fixed = 0, 0
        for _ in range(simulations):
            d = rng.choice([1.0, 0.0, -1.0], p=[wins, 1 - wins - losses, losses], size=1000)
            found = empirical_bernstein_sequence(d, low=-1, high=1)
            ever += found.excludes(wins - losses) is not None
            t = np.arange(2, 1001)
            mean, square = np.cumsum(d)[1:] / t, np.cumsum(d**2)[1:] / t
            sd = np.sqrt(np.maximum(square - mean**2, 0) * t / (t - 1))
            fixed += bool((np.abs(mean - (wins - losses)) > 1.96 * sd / np.sqrt(t))[48:].any())
        regime = f"1000 examples, a look after each, {name}"
        yield regime, "empirical Bernstein sequence", "examples", ever, simulations, None, False
        yield regime, "normal interval at every look from 50", "examples", fixed, simulations, None, True
    missed = 0
    for _ in range(simulations):
        missed += normal_mixture_sequence(rng.normal(size=60), sigma=1.0).excludes(0.0) is not None
    yield "60 runs, a look after each, spread known", "normal-mixture sequence", "seeds", missed, simulations, None, False


def conjunction_errors(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[Found]:
    """Wrong counts in "better on at least u of 10 tasks" with u above the true number of tasks that differ."""
    for real in (0, 3) if fast else (0, 1, 3, 6):
        wrong = 0
        for _ in range(simulations):
            z = rng.normal(size=10)
            z[:real] += 4
            wrong += partial_conjunction(stats.norm.sf(z), alpha=ALPHA).count > real
        yield f"10 tasks, {real} of them better", "on how many tasks (partial conjunction)", "tasks", wrong, simulations, None, False
