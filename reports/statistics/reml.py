"""Variance components of an unbalanced crossed table (cells missing), by restricted maximum likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from .result import Floats

SMALLEST_LOG_RATIO = -16.0  # a component of e^-16 of the remainder counts as the boundary, 0
LARGEST_LOG_RATIO = 16.0


@dataclass(frozen=True, kw_only=True)
class RemlComponents:
    """Variances of seeds, examples and the remainder, the generalised-least-squares mean with its standard error over both, and cells used.

    boundary : names of components that were estimated as 0; their likelihood has its maximum on the edge, so no interval of theirs is to be trusted
    """

    variances: dict[str, float]
    estimate: float | None
    se: float | None
    n_cells: int
    n_missing: int
    boundary: tuple[str, ...]
    log_likelihood: float | None
    degenerate: str | None = None


def reml_components(table: ArrayLike) -> RemlComponents:
    """y_se = mu + a_s + b_e + r_se over the cells of [seeds, examples] that are there, all effects normal; mu is integrated out.

    Minimises (n - 1) log s2 + log|V / s_r| + log(1' V^-1 1 s_r), with s2 = (y - mu)' V^-1 (y - mu) s_r / (n - 1) profiled, over the log ratios of the
    two components to the remainder; by Henderson's mixed-model equations only a matrix of [seeds, seeds] is ever solved. On a complete table whose
    moment estimates are not negative the result is theirs (`variance_components`), which is why complete tables go there.

    Source: Patterson and Thompson 1971; Searle, Casella and McCulloch 1992, ch. 6 and 7.
    >>> reml_components([[0.6, 0.2, 0.9, 0.4], [0.5, 0.3, float("nan"), 0.3], [0.7, 0.2, 0.8, 0.5]]).n_missing
    1
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"[seeds, examples] expected, got shape {values.shape}")
    present = np.asarray(np.isfinite(values))
    seeds, examples = np.flatnonzero(present.any(axis=1)), np.flatnonzero(present.any(axis=0))
    values, present = values[np.ix_(seeds, examples)], present[np.ix_(seeds, examples)]
    n, missing = int(present.sum()), int(np.size(table)) - int(present.sum())
    reason = _why_not(values, present)
    if reason:
        estimate = float(values[present].mean()) if n else None
        return RemlComponents(
            variances={}, estimate=estimate, se=None, n_cells=n, n_missing=missing, boundary=(), log_likelihood=None, degenerate=reason
        )
    y, m = np.where(present, values, 0.0), present.astype(np.float64)
    scale = float(values[present].std())

    def loss(logs: Floats) -> float:
        return _fit(y / scale, m, math.exp(logs[0]), math.exp(logs[1])).loss

    bounds = [(SMALLEST_LOG_RATIO, LARGEST_LOG_RATIO)] * 2
    tries = [optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in ([-1.0, -1.0], [-6.0, 0.0], [0.0, -6.0])]
    best = min(tries, key=lambda found: float(found.fun))
    at = [float(x) for x in best.x]
    found = _fit(y / scale, m, math.exp(at[0]), math.exp(at[1]))
    on_edge = [x < SMALLEST_LOG_RATIO + 4 for x in at]
    rest = found.remainder * scale**2
    seed, example = (0.0 if edge else math.exp(x) * rest for x, edge in zip(at, on_edge))
    return RemlComponents(
        variances={"seed": seed, "example": example, "remainder": rest}, estimate=found.mean * scale, se=found.se * scale, n_cells=n,
        n_missing=missing, boundary=tuple(name for name, edge in zip(("seed", "example"), on_edge) if edge), log_likelihood=-0.5 * found.loss,
    )  # fmt: skip


def _why_not(values: Floats, present: np.ndarray) -> str | None:
    if min(values.shape) < 2:
        return "fewer than two seeds or examples"
    if int(present.sum()) <= sum(values.shape):
        return "too few cells for three components"
    return "zero variance" if float(np.ptp(values[present])) == 0 else None


@dataclass(frozen=True)
class _Fit:
    loss: float
    mean: float
    se: float
    remainder: float


def _fit(y: Floats, m: Floats, seed_ratio: float, example_ratio: float) -> _Fit:
    """Restricted likelihood at given ratios to the remainder. y, m : [S, E] values and presence; examples are eliminated first (diagonal block)."""
    n = float(m.sum())
    weight = 1 / (m.sum(axis=0) + 1 / example_ratio)  # [E], inverse of the block of the examples

    def project(left: Floats, right: Floats) -> Floats:
        """left' (I - Z_e W Z_e') right for columns given by their [S, E] tables."""
        return np.asarray((left * right).sum() - (left.sum(axis=0) * weight * right.sum(axis=0)).sum())

    block = np.diag(m.sum(axis=1) + 1 / seed_ratio) - (m * weight) @ m.T  # [S, S]
    ones, values = m.sum(axis=1) - m @ (weight * m.sum(axis=0)), y.sum(axis=1) - m @ (weight * y.sum(axis=0))
    solved = np.linalg.solve(block, np.stack([ones, values], axis=1))
    xx = float(project(m, m)) - float(ones @ solved[:, 0])
    xy = float(project(m, y)) - float(ones @ solved[:, 1])
    yy = float(project(y, y)) - float(values @ solved[:, 1])
    mean = xy / xx
    remainder = max(yy - xy * mean, 1e-300) / (n - 1)
    log_det = (
        float(np.linalg.slogdet(block)[1]) - float(np.log(weight).sum())
        + m.shape[0] * math.log(seed_ratio) + m.shape[1] * math.log(example_ratio)
    )  # fmt: skip
    return _Fit((n - 1) * math.log(remainder) + log_det + math.log(xx), mean, math.sqrt(remainder / xx), remainder)
