"""Simulated pairs of equal methods on one task, and how often each test of a pair calls them different."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from .bootstrap_pairs import hierarchical_bootstrap
from .paired import crossed_difference
from .rank_tests import mcnemar
from .resample import sign_flip_pairs
from .result import Floats

BATCH_VALUES = 2_000_000
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Regime:
    """Standard deviations on the logit (or, if `skewed`, on the log of a loss); both methods are drawn alike, so no difference is true.

    interaction : of method and example (or cluster of examples); shared_luck : of a seed, the same for both methods; diverged : chance of a run
    that ends at even odds
    """

    name: str
    seeds: int = 5
    examples: int = 200
    base: float = 1.0
    difficulty: float = 1.5
    seed_noise: float = 0.0
    interaction: float = 0.0
    shared_luck: float = 0.0
    diverged: float = 0.0
    cluster_size: int = 1
    skewed: bool = False
    shift: float = 0.35


REGIMES = (
    Regime(name="neither seeds nor examples differ"),
    Regime(name="seed noise", examples=500, seed_noise=0.3),
    Regime(name="strong seed noise", seed_noise=1.0, shift=1.0),
    Regime(name="method x example interaction", interaction=1.0),
    Regime(name="seed noise and interaction", seed_noise=0.3, interaction=1.0),
    Regime(name="seed noise and interaction, 8 seeds", seeds=8, seed_noise=0.3, interaction=1.0),
    Regime(name="seed noise and interaction, 2 seeds", seeds=2, seed_noise=0.3, interaction=1.0, shift=0.6),
    Regime(name="seed noise and interaction, 3 seeds", seeds=3, seed_noise=0.3, interaction=1.0, shift=0.5),
    Regime(name="30 examples", examples=30, seed_noise=0.3, interaction=1.0, shift=0.8),
    Regime(name="seeds share luck (same rows and demonstrations)", shared_luck=0.5, seed_noise=0.1, interaction=0.5),
    Regime(name="near the ceiling", base=4.0, seed_noise=0.3, interaction=0.5, shift=0.7),
    Regime(name="one run in ten diverged", seed_noise=0.2, interaction=0.5, diverged=0.1),
    Regime(name="one run in ten diverged, 8 seeds", seeds=8, seed_noise=0.2, interaction=0.5, diverged=0.1),
    Regime(name="interaction shared by clusters of 10", interaction=1.0, seed_noise=0.2, cluster_size=10, shift=0.6),
    Regime(name="skewed losses", skewed=True, seed_noise=0.2, interaction=0.5, difficulty=0.8, shift=0.2),
)


def simulate(regime: Regime, n: int, rng: np.random.Generator, shift: float = 0.0) -> NDArray[Any]:
    """[simulations, methods, seeds, examples] of scores; the first method is `shift` better."""
    S, E = regime.seeds, regime.examples
    logit = regime.base + regime.difficulty * rng.normal(size=(n, 1, 1, E)) + np.array([shift, 0.0])[:, None, None]
    clusters = rng.normal(size=(n, 2, 1, E // regime.cluster_size))
    logit = logit + regime.interaction * np.repeat(clusters, regime.cluster_size, axis=-1)
    for sd, shape in (
        (regime.seed_noise, (n, 2, S, 1)),
        (regime.shared_luck, (n, 1, S, 1)),
    ):
        if sd:
            logit = logit + sd * rng.normal(size=shape)
    logit = np.broadcast_to(logit, (n, 2, S, E))
    if regime.skewed:
        return np.asarray(-np.exp(-logit + 0.3 * rng.normal(size=logit.shape)))
    if regime.diverged:
        logit = np.where(rng.random((n, 2, S, 1)) < regime.diverged, 0.0, logit)
    return np.asarray((rng.random(logit.shape) < special.expit(logit)).astype(np.float64))


# --- procedures: [simulations, methods, seeds, examples] -> p-values [simulations] ---------------------------------------------------------


def crossed(scores: Floats, rng: np.random.Generator, seeds_paired: bool = True, cluster: Any = None) -> Floats:
    estimate, variance, df = crossed_difference(scores[:, 0], scores[:, 1], seeds_paired=seeds_paired, cluster=cluster)
    return _t_pvalues(estimate, variance, df)


def crossed_unpaired(scores: Floats, rng: np.random.Generator) -> Floats:
    return crossed(scores, rng, seeds_paired=False)


def noninferior(scores: Floats, rng: np.random.Generator) -> Floats:
    """One-sided from the crossed test: the share of one-sided p <= alpha is twice the share of a two-sided half."""
    estimate, variance, df = crossed_difference(scores[:, 0], scores[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(variance > 0, stats.t.sf(estimate / np.sqrt(variance), df), 0.5))


def t_over(axis: int) -> Callable[[Floats, np.random.Generator], Floats]:
    """The paired t test of differences averaged over the other axis."""

    def test(scores: Floats, rng: np.random.Generator) -> Floats:
        d = (scores[:, 0] - scores[:, 1]).mean(axis=axis)
        n = d.shape[1]
        return _t_pvalues(d.mean(axis=1), d.var(axis=1, ddof=1) / n, np.full(len(d), n - 1.0))

    return test


def _t_pvalues(estimate: Floats, variance: Floats, df: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(estimate) / np.sqrt(variance), df)
    # without variance: identical vectors have p = 1, a constant difference none (not counted as a rejection)
    return np.asarray(np.where(variance > 1e-24, p, 1.0))


def flips_over_examples(scores: Floats, rng: np.random.Generator) -> Floats:
    return np.concatenate([_flips(block.mean(axis=2), rng, 999) for block in np.array_split(scores, -(-len(scores) // 20))])


def flips_over_seeds(scores: Floats, rng: np.random.Generator) -> Floats:
    return _flips(scores.mean(axis=3), rng, 10_000)


def _flips(scores: Floats, rng: np.random.Generator, n_resamples: int) -> Floats:
    pairs = [(2 * i, 2 * i + 1) for i in range(len(scores))]
    flat = scores.reshape(2 * len(scores), -1)
    return sign_flip_pairs(flat, rng=rng, pairs=pairs, n_resamples=n_resamples, alpha=None).pvalue


@lru_cache(maxsize=100_000)
def _mid_p(n10: int, n01: int) -> float:
    return float(mcnemar(n10, n01, method="mid-p").pvalue or 0.0)


def mcnemar_one_seed(scores: Floats, rng: np.random.Generator) -> Floats:
    a, b = scores[:, 0, 0], scores[:, 1, 0]
    n10, n01 = (a > b).sum(axis=1), (a < b).sum(axis=1)
    return np.array([_mid_p(int(i), int(j)) for i, j in zip(n10, n01)])


def hierarchical(scores: Floats, rng: np.random.Generator) -> Floats:
    """1 where the interval covers 0, else 0: an interval has no p-value, and alpha lies between."""
    covered = []
    for table in scores:
        found = hierarchical_bootstrap(table, rng=rng, methods=["a", "b"], n_resamples=400)
        covered.append(float(found.ci_low[0] <= 0 <= found.ci_high[0]))
    return np.array(covered)


@dataclass(frozen=True)
class Procedure:
    name: str
    generalise_over: str
    run: Callable[[Floats, np.random.Generator], Floats]
    fewest_seeds: int = 2
    binary: bool = False
    most_simulations: int = 10**9


PROCEDURES = (
    Procedure("crossed paired test and interval (default)", "seeds+examples", crossed),
    Procedure("crossed test, unpaired seeds", "seeds+examples", crossed_unpaired),
    Procedure("noninferiority and TOST side, crossed", "seeds+examples", noninferior),
    Procedure("hierarchical bootstrap, t quantiles", "seeds+examples", hierarchical, most_simulations=1000),
    Procedure("paired t over seeds", "seeds", t_over(2)),
    Procedure("exact sign flip over seeds", "seeds", flips_over_seeds, fewest_seeds=6),
    Procedure("paired t over examples", "examples", t_over(1)),
    Procedure("approximate randomisation over examples", "examples", flips_over_examples),
    Procedure("McNemar mid-p, first seed", "examples", mcnemar_one_seed, binary=True),
)


def rejections(regime: Regime, simulations: int, rng: np.random.Generator, shift: float = 0.0) -> Iterator[tuple[Procedure, int, int]]:
    """(procedure, rejections at .05, simulations) for every procedure that the regime allows."""
    batch = max(BATCH_VALUES // (2 * regime.seeds * regime.examples), 1)
    allowed = [p for p in PROCEDURES if regime.seeds >= p.fewest_seeds and not (p.binary and regime.skewed)]
    if regime.cluster_size > 1:
        labels = np.arange(regime.examples) // regime.cluster_size
        allowed.insert(1, Procedure("crossed paired test, clustered", "seeds+examples", partial(crossed, cluster=labels)))
    counts = {p.name: [0, 0] for p in allowed}
    for start in range(0, simulations, batch):
        scores = simulate(regime, min(batch, simulations - start), rng, shift)
        for procedure in allowed:
            used = scores[: max(procedure.most_simulations - counts[procedure.name][1], 0)]
            if len(used):
                counts[procedure.name][0] += int((procedure.run(used, rng) <= ALPHA).sum())
                counts[procedure.name][1] += len(used)
    for procedure in allowed:
        rejected, n = counts[procedure.name]
        yield procedure, rejected, n


def holm_over_tasks(simulations: int, rng: np.random.Generator, n_tasks: int = 10) -> int:
    """Families of ten crossed tests of equal methods in which Holm rejects any: its smallest adjusted p is ten times the smallest."""
    regime = replace(REGIMES[4], examples=100)
    batch = max(BATCH_VALUES // (2 * regime.seeds * regime.examples * n_tasks), 1)
    found = 0
    for start in range(0, simulations, batch):
        rows = min(batch, simulations - start)
        p = crossed(simulate(regime, rows * n_tasks, rng), rng).reshape(rows, n_tasks)
        found += int((p.min(axis=1) * n_tasks <= ALPHA).sum())
    return found
