"""How probable it is that a is practically better, equal, or worse than b: Bayesian counterparts of the tests over tasks and folds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .result import TIE_TOLERANCE, Floats, GeneraliseOver, drop_missing, monte_carlo_error, round_ties, rounded_difference

N_DRAWS = 50_000
CHUNK = 10_000

Decision = Literal["better", "equal", "worse", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Posterior probabilities that a is worse than b, within the region of practical equivalence, or better; they sum to 1.

    rope : half the width of that region, in the unit of the scores; mc_error : standard error of the least certain of the three, 0 where exact
    """

    p_worse: float | None
    p_equal: float | None
    p_better: float | None
    rope: float
    n: int
    method: str
    generalise_over: GeneraliseOver
    n_dropped: int = 0
    n_draws: int | None = None
    mc_error: float | None = None
    degenerate: str | None = None
    details: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))

    def decision(self, certainty: float = 0.95) -> Decision:
        """The statement whose probability reaches `certainty`, else "undecided"."""
        answers: list[tuple[Decision, float | None]] = [("better", self.p_better), ("equal", self.p_equal), ("worse", self.p_worse)]
        return next((name for name, p in answers if p is not None and p >= certainty), "undecided")


def bayesian_signed_rank(
    a: ArrayLike, b: ArrayLike, *, rope: float = 0.01, prior_weight: float = 0.5, rng: np.random.Generator, n_draws: int = N_DRAWS
) -> Posterior:
    """Bayesian signed-rank test over tasks. a, b : [tasks]

    z_0 = 0 with weight s beside the differences z_1..z_T; w ~ Dirichlet(s, 1, ..., 1); theta_worse = sum_ij w_i w_j [z_i + z_j < -2 rope], half on
    the edge, theta_better likewise; reported is how often each of the three thetas is the largest. One matrix product serves all draws.
    Source: Benavoli, Corani, Demsar and Zaffalon 2017, "Time for a change".

    >>> found = bayesian_signed_rank([0.9] * 8, [0.8] * 8, rng=np.random.default_rng(0))
    >>> found.decision()
    'better'
    """
    (left, right), dropped = drop_missing(a, b)
    name = "Bayesian signed rank"
    if len(left) == 0:
        return _undefined(name, rope, dropped, "no complete pair", "tasks")
    z = np.concatenate([[0.0], rounded_difference(left, right)])
    scale = max(float(np.abs(left).max()), float(np.abs(right).max()), 2 * rope)
    sums = round_ties(z[:, None] + z[None, :], scale)
    edge = float(round_ties(2 * rope, scale))
    worse = (sums < -edge) + 0.5 * (sums == -edge)
    better = (sums > edge) + 0.5 * (sums == edge)
    concentration = np.concatenate([[prior_weight], np.ones(len(left))])
    largest = np.zeros(3)
    for start in range(0, n_draws, CHUNK):
        w = rng.dirichlet(concentration, min(CHUNK, n_draws - start))
        theta_worse, theta_better = ((w @ worse) * w).sum(axis=1), ((w @ better) * w).sum(axis=1)
        largest += _shares_largest(np.stack([theta_worse, 1 - theta_worse - theta_better, theta_better], axis=1))
    return _sampled(largest / n_draws, name, rope, len(left), dropped, n_draws, "all pairs tied" if not z.any() else None)


def bayesian_sign(
    a: ArrayLike, b: ArrayLike, *, rope: float = 0.01, prior_weight: float = 1.0, rng: np.random.Generator, n_draws: int = N_DRAWS
) -> Posterior:
    """Bayesian sign test over tasks: Dirichlet(losses, ties + prior, wins), ties being differences of at most the rope. a, b : [tasks]

    Source: Benavoli, Corani, Demsar and Zaffalon 2017.

    >>> bayesian_sign([0.9] * 20, [0.8] * 20, rng=np.random.default_rng(0)).p_better > 0.99
    True
    """
    (left, right), dropped = drop_missing(a, b)
    name = "Bayesian sign test"
    if len(left) == 0:
        return _undefined(name, rope, dropped, "no complete pair", "tasks")
    d = rounded_difference(left, right)
    counts = np.array([(d < -rope).sum(), (np.abs(d) <= rope).sum() + prior_weight, (d > rope).sum()])
    # gamma draws are Dirichlet draws up to their sum, and a count of 0 gives exactly 0
    shares = _shares_largest(rng.standard_gamma(counts, size=(n_draws, 3)))
    return _sampled(shares / n_draws, name, rope, len(left), dropped, n_draws, "all pairs tied" if not d.any() else None)


def bayesian_correlated_t(a: ArrayLike, b: ArrayLike, *, rope: float = 0.01, correlation: float) -> Posterior:
    """Posterior of the mean difference over folds that share training data: t with n - 1 df, located at the mean, squared scale s^2 (1/n + rho / (1 - rho)).

    a, b : [folds]; correlation : rho, the share of data in a test fold (1 / folds), after Nadeau and Bengio 2003. Source: Corani and Benavoli 2015.

    >>> bayesian_correlated_t([0.82, 0.84, 0.83, 0.85], [0.80, 0.80, 0.81, 0.80], correlation=0.25).p_better.__round__(3)
    0.928
    """
    (left, right), dropped = drop_missing(a, b)
    name = "Bayesian correlated t"
    if not 0 <= correlation < 1:
        raise ValueError(f"correlation lies in [0, 1), not {correlation}")
    if len(left) < 2:
        return _undefined(name, rope, dropped, "fewer than two folds", "examples")
    d = rounded_difference(left, right)
    n, mean = len(d), float(d.mean())
    variance = float(d.var(ddof=1)) * (1 / n + correlation / (1 - correlation))
    reason = None
    if np.ptp(d) == 0:
        variance, reason = 0.0, "zero variance of differences"
        below, above = float(mean < -rope), float(mean > rope)
        if rope == 0 and mean == 0:
            below = above = 0.5
    else:
        law = stats.t(n - 1, loc=mean, scale=math.sqrt(variance))
        below, above = float(law.cdf(-rope)), float(law.sf(rope))
    return Posterior(
        p_worse=below, p_equal=max(1 - below - above, 0.0), p_better=above, rope=rope, n=n, method=name, generalise_over="examples",
        n_dropped=dropped, mc_error=0.0, degenerate=reason,
        details=MappingProxyType({"mean": mean, "squared_scale": variance, "df": float(n - 1)}),
    )  # fmt: skip


def _shares_largest(theta: Floats) -> Floats:
    """How often each column is the largest; a tie is shared, so identical vectors give (1/2, 0, 1/2) and not rounding noise."""
    top = theta >= theta.max(axis=1, keepdims=True) - TIE_TOLERANCE
    return np.asarray((top / top.sum(axis=1, keepdims=True)).sum(axis=0))


def _sampled(shares: Floats, name: str, rope: float, n: int, dropped: int, n_draws: int, reason: str | None) -> Posterior:
    worse, equal, better = (float(p) for p in shares)
    return Posterior(
        p_worse=worse, p_equal=equal, p_better=better, rope=rope, n=n, method=name, generalise_over="tasks", n_dropped=dropped,
        n_draws=n_draws, mc_error=max(monte_carlo_error(p, n_draws) for p in (worse, equal, better)), degenerate=reason,
    )  # fmt: skip


def _undefined(name: str, rope: float, dropped: int, reason: str, over: GeneraliseOver) -> Posterior:
    return Posterior(
        p_worse=None, p_equal=None, p_better=None, rope=rope, n=0, method=name, generalise_over=over, n_dropped=dropped, degenerate=reason
    )
