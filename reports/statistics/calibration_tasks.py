"""Simulated cells and boards: misses of intervals over seeds and of proportions, false rejections among many methods on many tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .bootstrap import bootstrap_interval
from .examples import clustered_mean
from .friedman import any_difference, critical_difference, friedman_test
from .intervals import proportion_interval
from .multitask import max_t, wilcoxon_holm
from .result import Floats

ALPHA = 0.05


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.asarray(0.8 + 0.02 * rng.normal(size=shape))


def _left_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.asarray(0.9 - 0.02 * rng.exponential(size=shape))


def _two_decimals(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.round(_normal(rng, shape), 2)


def _diverged(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return np.where(rng.random(shape) < 0.1, 0.5, _normal(rng, shape))


# name, scores of runs, mean of the distribution
CELLS: tuple[tuple[str, Callable[[np.random.Generator, tuple[int, ...]], Floats], float], ...] = (
    ("normal scores", _normal, 0.8),
    ("left-skewed scores", _left_skewed, 0.88),
    ("scores of two decimals (ties)", _two_decimals, 0.8),
    ("one run in ten diverged", _diverged, 0.77),
)


def cell_misses(simulations: int, rng: np.random.Generator, *, fast: bool) -> Iterator[tuple[str, str, str, int, int]]:
    """(regime, interval, what it generalises over, misses, simulations)."""
    for name, draw, truth in CELLS[:1] if fast else CELLS:
        for seeds in (3, 5, 10):
            runs = draw(rng, (simulations, seeds))
            reach = stats.t.ppf(0.975, seeds - 1) * runs.std(axis=1, ddof=1) / np.sqrt(seeds)
            missed = np.abs(runs.mean(axis=1) - truth) > reach + 1e-12
            yield f"{name}, {seeds} seeds", "t interval (default)", "seeds", int(missed.sum()), simulations
        bootstrapped = min(simulations, 1000)
        missed_bca = 0
        for runs in draw(rng, (bootstrapped, 20)):
            found = bootstrap_interval(runs, rng=rng, n_resamples=1000, generalise_over="seeds")
            missed_bca += found.ci_low is None or found.ci_high is None or not found.ci_low <= truth <= found.ci_high
        yield f"{name}, 20 seeds", "BCa bootstrap", "seeds", missed_bca, bootstrapped
    missed_clusters = 0
    for _ in range(simulations // 4):
        effect = rng.normal(size=20)
        cluster = np.repeat(np.arange(20), rng.integers(2, 12, size=20))
        found = clustered_mean(effect[cluster] + rng.normal(size=len(cluster)), cluster)
        missed_clusters += found.ci_low is None or found.ci_high is None or not found.ci_low <= 0 <= found.ci_high
    yield "20 clusters of 2 to 11 examples", "clustered t interval (CR1)", "examples", missed_clusters, simulations // 4


def proportion_misses(*, fast: bool) -> Iterator[tuple[str, str, float]]:
    """(regime, interval, exact probability that it misses), by summing over all counts."""
    for n in (20,) if fast else (20, 100, 1000):
        for p in (0.5, 0.8, 0.95, 0.99):
            counts = np.arange(n + 1)
            mass = stats.binom.pmf(counts, n, p)
            for method in ("wilson", "clopper-pearson", "jeffreys"):
                ends = [proportion_interval(int(k), n, method=method).interval for k in counts]
                missed = [low is None or high is None or not low <= p <= high for low, high in ends]
                yield f"accuracy {p}, {n} examples", method, float(mass @ missed)


@dataclass(frozen=True)
class Board:
    """Scores [tasks, methods] of equal methods: tasks differ in level and, if `uneven`, in spread (a factor up to 9)."""

    name: str
    n_tasks: int
    n_methods: int
    uneven: bool = False
    decimals: int | None = None
    skewed: bool = False
    shift: float = 1.5

    def draw(self, rng: np.random.Generator, shift: float = 0.0) -> Floats:
        shape = (self.n_tasks, self.n_methods)
        noise = rng.exponential(size=shape) - 1 if self.skewed else rng.normal(size=shape)
        noise[:, 0] += shift
        if self.uneven:
            noise *= np.exp(rng.uniform(-1.1, 1.1, size=(self.n_tasks, 1)))
        scores = 0.7 + 0.1 * rng.normal(size=(self.n_tasks, 1)) + 0.02 * noise
        return np.asarray(scores if self.decimals is None else np.round(scores, self.decimals))


MANY_METHODS = (
    Board("6 tasks, 5 methods", 6, 5),
    Board("8 tasks, 5 methods", 8, 5),
    Board("10 tasks, 5 methods", 10, 5),
    Board("15 tasks, 5 methods", 15, 5),
    Board("10 tasks, 10 methods", 10, 10),
    Board("10 tasks, 5 methods, spreads differ", 10, 5, uneven=True),
    Board("10 tasks, 5 methods, ties (two decimals)", 10, 5, decimals=2),
    Board("10 tasks, 5 methods, skewed", 10, 5, skewed=True),
)


def family_errors(board: Board, families: int, rng: np.random.Generator, shift: float = 0.0) -> dict[str, int]:
    """In how many of the families each procedure rejects anything (with a shift: anything about the first method)."""
    reach = critical_difference(board.n_methods, board.n_tasks, ALPHA)
    names = ("Friedman, Iman-Davenport F", "Nemenyi", "Wilcoxon, Holm over pairs", "sign-flip max-T over pairs")
    counts = dict.fromkeys(names, 0)
    for _ in range(families):
        scores = board.draw(rng, shift)
        ranks = friedman_test(scores).mean_ranks
        gaps = np.abs(ranks - ranks[0]) if shift else np.array([np.ptp(ranks)])
        counts[names[0]] += (any_difference(scores, rng=rng).pvalue or 1.0) <= ALPHA
        counts[names[1]] += bool((gaps >= reach).any())
        for name, found in (
            (names[2], wilcoxon_holm(scores, alpha=ALPHA)),
            (names[3], max_t(scores, alpha=ALPHA, rng=rng, n_resamples=2000)),
        ):
            tested = found.pvalues[0, 1:] if shift else found.pvalues[np.triu_indices(board.n_methods, 1)]
            counts[name] += bool((tested <= ALPHA).any())
    return {name: int(count) for name, count in counts.items()}
