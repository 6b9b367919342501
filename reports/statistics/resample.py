"""Permutation tests of all pairs of methods on one task with the same draws, also for metrics that are no mean of examples.

Approximate randomisation over examples tests these trained models; a sign flip over seeds tests this test set. For both at once see
`paired.paired_difference`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .adjust import max_t_from_maxima
from .draws import Indices, all_pairs, enumerable, flip_blocks, unit_sums
from .result import (
    MAX_RESAMPLES,
    N_RESAMPLES,
    TIE_TOLERANCE,
    Alternative,
    Floats,
    GeneraliseOver,
    TestResult,
    as_vector,
    drop_missing,
    undecided,
)

Value = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class PairTests:
    """Differences [pairs] of first - second with their p-values.

    adjusted : single-step max-T over these pairs (None where not offered); n_units : examples or clusters that were flipped
    """

    first: Indices
    second: Indices
    difference: Floats
    pvalue: Floats
    adjusted: Floats | None
    mc_error: Floats
    n_units: int
    n_dropped: int
    n_resamples: int
    exhaustive: bool
    alternative: Alternative


def sign_flip_pairs(
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    cluster: ArrayLike | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    alternative: Alternative = "two-sided",
    n_resamples: int = N_RESAMPLES,
    alpha: float | None = 0.05,
    max_resamples: int = MAX_RESAMPLES,
) -> PairTests:
    """Approximate randomisation of all pairs: the sign of each example's (or cluster's) difference is flipped at random.

    scores : [methods, seeds, examples] (averaged over seeds) or [methods, units]; examples that anyone lacks are left out and counted.
    T = |mean difference|, p = (1 + #{T* >= T}) / (R + 1), or a plain share where all 2^n patterns fit into R + 1. `adjusted` is max-T
    over |sum s d| / sqrt(sum d^2), whose denominator no flip changes. R is doubled up to `max_resamples` while a p-value lies within 3
    Monte-Carlo errors of `alpha` (None: never).

    Source: Noreen 1989; Phipson and Smyth 2010; Westfall and Young 1993.
    >>> found = sign_flip_pairs([[1, 1, 1, 0, 1, 1], [0, 0, 1, 0, 0, 0]], rng=np.random.default_rng(0))
    >>> found.pvalue, found.exhaustive
    (array([0.125]), True)
    """
    units = unit_sums(scores, cluster)
    first, second = all_pairs(len(units.sums), pairs)
    n = units.sums.shape[1]
    observed = units.sums.sum(axis=1)
    difference = observed[first] - observed[second]
    weight = _inverse_norm(units.sums, first, second)
    target = _signed(difference, alternative)
    # sums of integers are exact; others agree up to the rounding of their operands
    slack = 0.0 if units.exact else TIE_TOLERANCE * float(np.abs(units.sums).max(axis=0, initial=0.0).sum())
    exceeding, maxima, done = np.zeros(len(first), dtype=np.int64), [], 0
    planned, exhaustive = n_resamples, enumerable(n, n_resamples)
    while True:
        for bits in flip_blocks(n, planned - done, rng, units.sums.dtype, exhaustive=exhaustive):
            flipped = observed[:, None] - 2 * (units.sums @ bits.T)
            moved = _signed(flipped[first] - flipped[second], alternative)
            exceeding += (moved >= (target - slack)[:, None]).sum(axis=1)
            maxima.append((moved * weight[:, None]).max(axis=0, initial=-np.inf))
            done += len(bits)
        pvalue = exceeding / done if exhaustive else (1 + exceeding) / (done + 1)
        adjusted = max_t_from_maxima(np.asarray(target * weight, dtype=np.float64), np.sort(np.concatenate(maxima)), exhaustive=exhaustive)
        close = alpha is not None and (undecided(pvalue, done, alpha) or undecided(adjusted, done, alpha))
        if exhaustive or not close or 2 * planned > max_resamples:
            break
        planned *= 2
    mean = difference.astype(np.float64) / (units.divisor or np.nan)
    if not n:
        pvalue, adjusted = np.full((2, len(first)), np.nan)
    return PairTests(
        first, second, mean, pvalue, adjusted, _error(pvalue, done, exhaustive), n, units.n_dropped, done, exhaustive, alternative
    )


def _inverse_norm(sums: NDArray[Any], first: Indices, second: Indices) -> NDArray[Any]:
    """1 / sqrt(sum d^2) of each pair, 0 for identical ones, in the scores' own type: equal sums stay equal and blocks of float32 stay small."""
    norm = np.sqrt(((sums[first] - sums[second]) ** 2).sum(axis=1, dtype=np.float64))
    return np.asarray(np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0).astype(sums.dtype))


def _error(pvalue: Floats, n_resamples: int, exhaustive: bool) -> Floats:
    return np.zeros(len(pvalue)) if exhaustive else np.asarray(np.sqrt(pvalue * (1 - pvalue) / n_resamples))


def _signed(difference: NDArray[Any], alternative: Alternative) -> NDArray[Any]:
    if alternative == "two-sided":
        return np.asarray(np.abs(difference))
    if alternative not in ("greater", "less"):
        raise ValueError(f"unknown alternative {alternative!r}")
    return difference if alternative == "greater" else -difference


def sign_flip_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    rng: np.random.Generator | None = None,
    cluster: ArrayLike | None = None,
    generalise_over: GeneraliseOver = "seeds",
    alternative: Alternative = "two-sided",
    n_resamples: int = N_RESAMPLES,
    alpha: float | None = 0.05,
) -> TestResult:
    """Sign-flip permutation test of one pair of vectors: exact over 13 seeds or fewer, Monte-Carlo (with `rng`) beyond.

    Two-sided p cannot go under 2^(1-n): with 5 seeds it is never below .0625, which `note` says.

    Source: Fisher 1935, sec. 21.
    >>> sign_flip_test([0.81, 0.79, 0.84, 0.80, 0.83, 0.78], [0.78, 0.78, 0.80, 0.77, 0.81, 0.75]).pvalue
    0.03125
    """
    (x, y), n_dropped = drop_missing(a, b)
    labels = None if cluster is None else np.asarray(cluster)[np.isfinite(as_vector(a)) & np.isfinite(as_vector(b))]
    n = len(x) if labels is None else len(np.unique(labels))
    about: dict[str, Any] = {"n": n, "generalise_over": generalise_over, "alternative": alternative, "n_dropped": n_dropped}
    if not len(x):
        return TestResult(method="sign-flip test", degenerate="no pairs", **about)
    if not enumerable(n, n_resamples) and rng is None:
        raise ValueError(f"{n} pairs have too many sign patterns to enumerate: pass rng=")
    found = sign_flip_pairs(
        np.stack([x, y]), rng=rng or np.random.default_rng(0), cluster=labels, alternative=alternative, n_resamples=n_resamples, alpha=alpha
    )
    floor = 2.0 ** (1 - n) if alternative == "two-sided" else 2.0**-n
    d = x - y
    return TestResult(
        method="exact sign-flip test" if found.exhaustive else "sign-flip test", estimate=float(found.difference[0]),
        statistic=float(found.difference[0]), pvalue=float(found.pvalue[0]), mc_error=float(found.mc_error[0]), n_resamples=found.n_resamples,
        degenerate="identical scores" if not d.any() else None,
        note=f"p cannot go under {floor:g} with {n} pairs" if alpha is not None and floor > alpha else None, **about,
    )  # fmt: skip


def approximate_randomisation(a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator, **options: Any) -> TestResult:
    """The sign-flip test over examples, [examples] or [seeds, examples] (averaged over seeds first): for these trained models alone."""
    left, right = (np.asarray(side, dtype=np.float64) for side in (a, b))
    if left.ndim == 2:
        left, right = left.mean(axis=0), right.mean(axis=0)
    return sign_flip_test(left, right, rng=rng, generalise_over="examples", **options)


def permute_metric_pairs(
    statistics: ArrayLike,
    value: Value,
    *,
    rng: np.random.Generator,
    pairs: Sequence[tuple[int, int]] | None = None,
    alternative: Alternative = "two-sided",
    n_resamples: int = N_RESAMPLES,
) -> PairTests:
    """Approximate randomisation for a metric of summed statistics (F1, BLEU): whole rows of an example are swapped between two methods.

    statistics : [methods, seeds, examples, q]; value : sums [..., q] -> metric [...], averaged over seeds. A swap of example e changes the
    sums of a by b_e - a_e, so one product with the swap pattern per method serves all pairs.

    Source: Noreen 1989, ch. 2; Yeh 2000.
    >>> counts = np.array([[[[1, 0], [1, 0], [1, 1]]], [[[0, 1], [1, 0], [0, 1]]]])
    >>> permute_metric_pairs(counts, lambda s: s[..., 0] / s.sum(-1), rng=np.random.default_rng(0)).pvalue
    array([0.5])
    """
    table = np.asarray(statistics, dtype=np.float64)
    if table.ndim != 4:
        raise ValueError(f"[methods, seeds, examples, q] expected, got shape {table.shape}")
    kept = np.isfinite(table).all(axis=(0, 1, 3))
    table = table[:, :, kept]
    n = table.shape[2]
    first, second = all_pairs(len(table), pairs)
    sums = table.sum(axis=2)
    metric = value(sums).mean(axis=-1)
    difference = metric[first] - metric[second]
    exceeding, done, exhaustive = np.zeros(len(first), dtype=np.int64), 0, enumerable(n, n_resamples)
    # [methods * seeds * q, examples], so that one product serves every seed and statistic
    flat = np.moveaxis(table, 2, 3).reshape(-1, n)
    target = _signed(difference, alternative) - TIE_TOLERANCE * np.maximum(1.0, np.abs(difference))
    for bits in flip_blocks(n, n_resamples, rng, np.float64, exhaustive=exhaustive):
        taken = (flat @ bits.T).reshape(*sums.shape, len(bits)).transpose(0, 3, 1, 2)  # [methods, rows, seeds, q]
        for k, (i, j) in enumerate(zip(first, second)):
            swapped = taken[j] - taken[i]
            moved = value(sums[i] + swapped).mean(axis=-1) - value(sums[j] - swapped).mean(axis=-1)
            exceeding[k] += np.count_nonzero(_signed(moved, alternative) >= target[k])
        done += len(bits)
    pvalue = exceeding / done if exhaustive else (1 + exceeding) / (done + 1)
    error, n_dropped = _error(pvalue, done, exhaustive), int(np.count_nonzero(~kept))
    return PairTests(first, second, difference, pvalue, None, error, n, n_dropped, done, exhaustive, alternative)
