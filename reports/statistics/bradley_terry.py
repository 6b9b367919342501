"""Strengths of methods from who beat whom, for example per test item (optional beside the averages)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csgraph

from .result import TIE_TOLERANCE, Floats, rounded_difference

PSEUDO_WIN = 0.5


@dataclass(frozen=True, kw_only=True)
class BradleyTerry:
    """P(i beats j) = 1 / (1 + exp(theta_j - theta_i)), theta centred to mean 0.

    theta, elo : [methods]; elo = 1000 + 400 / ln(10) theta; covariance : [methods, methods] of the centred theta, so that
    Var(theta_i - theta_j) = C_ii + C_jj - 2 C_ij; NaN throughout where refused
    """

    theta: Floats
    elo: Floats
    covariance: Floats
    n: float
    degenerate: str | None = None
    note: str | None = None

    def probability(self, i: int, j: int) -> float | None:
        """P(i beats j)."""
        gap = float(self.theta[i] - self.theta[j])
        return None if math.isnan(gap) else 1 / (1 + math.exp(-gap))

    def difference_error(self, i: int, j: int) -> float | None:
        """Standard error of theta_i - theta_j."""
        variance = float(self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j])
        return None if math.isnan(variance) else math.sqrt(max(variance, 0.0))


def wins_from_scores(scores: ArrayLike) -> Floats:
    """wins[i, j] : on how many items i scored above j, ties half to each. scores : [items, methods], missing cells are not compared.

    >>> wins_from_scores([[1, 0], [1, 1], [0, 1], [1, 0]])
    array([[0. , 2.5],
           [1.5, 0. ]])
    """
    table = np.asarray(scores, dtype=np.float64)
    wins = np.zeros((table.shape[1], table.shape[1]))
    for i in range(table.shape[1]):
        d = rounded_difference(table[:, [i]], table)
        wins[i] = (d > 0).sum(axis=0) + 0.5 * (d == 0).sum(axis=0)
    np.fill_diagonal(wins, 0.0)
    return wins


def fit_bradley_terry(wins: ArrayLike) -> BradleyTerry:
    """Maximum likelihood from wins[i, j], the number of times i beat j (ties half), by Newton's method.

    The maximum exists exactly if no group of methods won every comparison against the rest (Ford 1957): then half a pseudo-win is given to both sides of
    every compared pair, and `note` says so. Groups that were never compared have no common scale: refused.
    Source: Bradley and Terry 1952.

    >>> fit_bradley_terry([[0, 7, 9], [3, 0, 6], [1, 4, 0]]).elo.round(1)
    array([1163.9,  972.2,  863.9])
    """
    table = np.array(wins, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"wins: [methods, methods] expected, got shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("wins: counts of 0 or more expected")
    np.fill_diagonal(table, 0.0)
    k, n = len(table), float(table.sum())
    played = table + table.T
    if k < 2 or csgraph.connected_components(played > 0, directed=False)[0] > 1:
        undefined = np.full(k, np.nan)
        reason = "fewer than two methods" if k < 2 else "groups of methods that were never compared"
        return BradleyTerry(theta=undefined, elo=undefined, covariance=np.full((k, k), np.nan), n=n, degenerate=reason)
    note = None
    if csgraph.connected_components(table > 0, directed=True, connection="strong")[0] > 1:
        note = f"separation: {PSEUDO_WIN} pseudo-wins were added to both sides of every compared pair"
        table = table + PSEUDO_WIN * (played > 0)
        played = table + table.T
    theta, covariance = _newton(table, played)
    return BradleyTerry(theta=theta, elo=1000 + 400 / math.log(10) * theta, covariance=covariance, n=n, note=note)


def _newton(wins: Floats, played: Floats) -> tuple[Floats, Floats]:
    """The maximum of the log-likelihood, which is concave, and the inverse information on the centred scale."""
    theta = np.zeros(len(wins))
    log_likelihood = _log_likelihood(theta, wins)
    for _ in range(100):
        chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
        gradient = (wins - played * chance).sum(axis=1)
        step = _information_inverse(played, chance) @ gradient
        scale = 1.0
        # halve a step that overshoots; full steps near the maximum
        while _log_likelihood(theta + scale * step, wins) < log_likelihood - TIE_TOLERANCE * abs(log_likelihood):
            scale /= 2
        theta = theta + scale * step
        log_likelihood = _log_likelihood(theta, wins)
        if np.abs(scale * step).max() < 1e-12:
            break
    chance = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    return theta - theta.mean(), _information_inverse(played, chance)


def _log_likelihood(theta: Floats, wins: Floats) -> float:
    return float(-(wins * np.logaddexp(0, theta[None, :] - theta[:, None])).sum())


def _information_inverse(played: Floats, chance: Floats) -> Floats:
    weight = played * chance * (1 - chance)
    return np.asarray(np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight, hermitian=True), dtype=np.float64)
