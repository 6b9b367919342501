"""Bootstrap of all methods on one task with the same resampled examples: intervals of pairs, ranks, any function of the scores.

Draws [methods, resamples] share their examples, so differences, ranks and maxima are taken column by column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .draws import Indices, all_pairs, count_blocks, unit_sums
from .paired import crossed_difference
from .resample import Value
from .result import N_RESAMPLES, Floats, GeneraliseOver, name_order


@dataclass(frozen=True)
class PairIntervals:
    """Intervals [pairs] of first - second. `draws` [methods, resamples] are the scores they were made of."""

    first: Indices
    second: Indices
    difference: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    level: float
    df: Floats | None
    draws: NDArray[Any]
    generalise_over: GeneraliseOver
    method: str


def bootstrap_pairs(
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    cluster: ArrayLike | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> PairIntervals:
    """Percentile intervals of all pairs over examples (or clusters), for these trained models alone.

    scores : [methods, seeds, examples] (averaged over seeds) or [methods, units]. Under 100 examples take `paired.paired_difference`. With
    clusters the mean is sum of drawn clusters / number of examples drawn.

    Source: Efron 1979; Miller 2024 for the pairing.
    >>> scores = np.random.default_rng(1).integers(0, 2, size=(3, 200))
    >>> bootstrap_pairs(scores, rng=np.random.default_rng(0)).ci_low.shape
    (3,)
    """
    units = unit_sums(scores, cluster)
    first, second = all_pairs(len(units.sums), pairs)
    n = units.sums.shape[1]
    if n < 2:
        raise ValueError(f"{n} examples or clusters cannot be resampled")
    blocks = count_blocks(n, n_resamples, rng, units.sums.dtype)
    if cluster is None:
        # order statistics of the sums, which are exact for integer scores; the division follows
        draws, divisor = np.concatenate([units.sums @ counts.T for counts in blocks], axis=1), units.divisor
    else:
        table = np.asarray(scores, dtype=np.float64)
        sizes = unit_sums(np.where(np.isfinite(table), 1.0, np.nan), cluster).sums[0]
        draws, divisor = np.concatenate([(units.sums @ counts.T) / (sizes @ counts.T) for counts in blocks], axis=1), 1.0
    mean = units.sums.sum(axis=1, dtype=np.float64) / units.divisor
    low, high, se = _percentiles(draws, first, second, level) / divisor
    method = "percentile bootstrap over examples"
    return PairIntervals(first, second, mean[first] - mean[second], se, low, high, level, None, draws / divisor, "examples", method)


def _percentiles(draws: NDArray[Any], first: Indices, second: Indices, level: float) -> Floats:
    """[low, high, sd] of pairs: ends by the linear rule, from the four order statistics that they need instead of a sort."""
    n_draws = draws.shape[1]
    ends = np.array([(1 - level) / 2, (1 + level) / 2]) * (n_draws - 1)
    below = np.floor(ends).astype(int)
    above = np.minimum(below + 1, n_draws - 1)
    weight = ends - below
    found = np.empty((3, len(first)))
    needed = np.unique(np.concatenate([below, above]))
    for k, (i, j) in enumerate(zip(first, second)):
        moved = draws[i] - draws[j]
        spread = moved.std(ddof=1)
        moved.partition(needed)
        found[:, k] = *(moved[below] + weight * (moved[above] - moved[below])), spread
    return found


def hierarchical_bootstrap(
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    methods: Sequence[str],
    cluster: ArrayLike | None = None,
    seeds_paired: bool = False,
    pairs: Sequence[tuple[int, int]] | None = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> PairIntervals:
    """Seeds resampled for each method, examples jointly; interval = difference -+ t_df sd(T*) with df of the crossed components.

    T* = u' Y w / (S E), u and w multinomial counts. Resampled seed means spread by only (S - 1) / S of their variance, so their deviations
    are multiplied by sqrt(S / (S - 1)). The plain percentile form rejects between .5 and 17 % at a nominal 5 %, so its quantiles serve for
    plots of the distribution alone. Resampling both axes counts the remainder more than once, so this interval is conservative: prefer
    `paired.paired_difference` for means. `seeds_paired`: all methods share the seeds drawn. One seed: examples alone.

    Source: Davison and Hinkley 1997, sec. 3.8; Owen 2007 for crossed resampling.
    >>> scores = np.random.default_rng(1).integers(0, 2, size=(2, 5, 200))
    >>> found = hierarchical_bootstrap(scores, rng=np.random.default_rng(0), methods=["lora", "head"])
    >>> bool(found.ci_low[0] < found.difference[0] < found.ci_high[0])
    True
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 3 or len(methods) != len(table):
        raise ValueError(f"[methods, seeds, examples] with a name per method expected, got {table.shape} and {len(methods)} names")
    kept = np.isfinite(table).all(axis=(0, 1))
    table, labels = table[:, :, kept], None if cluster is None else np.asarray(cluster)[kept]
    draws = _crossed_draws(table, labels, rng, name_order(methods), seeds_paired, n_resamples)
    first, second = all_pairs(len(table), pairs)
    mean = table.mean(axis=(1, 2))
    se = np.array([float((draws[i] - draws[j]).std(ddof=1)) for i, j in zip(first, second)])
    if table.shape[1] == 1:
        n_units = table.shape[2] if labels is None else len(np.unique(labels))
        df, over = np.full(len(first), float(n_units - 1)), "examples"
    else:
        found = [crossed_difference(table[i], table[j], seeds_paired=seeds_paired, cluster=labels) for i, j in zip(first, second)]
        df, over = np.array([float(degrees) for _, _, degrees in found]), "seeds+examples"
    reach = stats.t.ppf((1 + level) / 2, df) * se
    difference = mean[first] - mean[second]
    low, high = difference - reach, difference + reach
    method = "hierarchical bootstrap, t quantiles"
    return PairIntervals(first, second, difference, se, low, high, level, df, draws, cast(GeneraliseOver, over), method)


def _crossed_draws(table: Floats, cluster: Any, rng: np.random.Generator, order: list[int], seeds_paired: bool, n_resamples: int) -> Floats:
    """[methods, resamples] of corrected means; streams are given to methods by name, so that listing them otherwise changes nothing."""
    n_methods, n_seeds, _ = table.shape
    units = unit_sums(table.reshape(n_methods * n_seeds, 1, -1), cluster)
    sizes = unit_sums(np.ones((1, 1, table.shape[2])), cluster).sums[0]
    example_rng, *seed_rngs = rng.spawn(1 + n_methods)
    blocks = []
    for counts in count_blocks(len(sizes), n_resamples, example_rng, units.sums.dtype):
        seed_means = (units.sums @ counts.T).reshape(n_methods, n_seeds, -1) / (sizes @ counts.T).astype(np.float64)
        centre = seed_means.mean(axis=1)
        if n_seeds > 1:
            deviation = (seed_means - centre[:, None]) * math.sqrt(n_seeds / (n_seeds - 1))
            for rank, position in enumerate(order):
                if rank == 0 or not seeds_paired:
                    drawn = next(count_blocks(n_seeds, len(counts), seed_rngs[rank], np.float64, chunk=len(counts)))
                centre[position] += np.einsum("sr,rs->r", deviation[position], drawn) / n_seeds
        blocks.append(centre)
    return np.concatenate(blocks, axis=1)


def bootstrap_metric(
    statistics: ArrayLike, value: Value, *, rng: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> tuple[Floats, Floats]:
    """(observed [methods], draws [methods, resamples]) of a metric of summed statistics, resampled over examples.

    statistics : [methods, seeds, examples, q]; value : sums [..., q] -> metric [...], averaged over seeds. The metric is recomputed from the
    weighted sums of every resample, never averaged over examples.

    >>> counts = np.random.default_rng(1).integers(0, 2, size=(2, 1, 50, 3))
    >>> bootstrap_metric(counts, lambda s: s[..., 0] / s.sum(-1), rng=np.random.default_rng(0), n_resamples=99)[1].shape
    (2, 99)
    """
    table = np.asarray(statistics, dtype=np.float64)
    if table.ndim != 4:
        raise ValueError(f"[methods, seeds, examples, q] expected, got shape {table.shape}")
    table = table[:, :, np.isfinite(table).all(axis=(0, 1, 3))]
    shape = (table.shape[0], table.shape[1], table.shape[3])
    flat = np.moveaxis(table, 2, 3).reshape(-1, table.shape[2])
    blocks = []
    for counts in count_blocks(table.shape[2], n_resamples, rng, np.float64):
        sums = (flat @ counts.T).reshape(*shape, len(counts)).transpose(0, 3, 1, 2)
        blocks.append(value(sums).mean(axis=-1))
    return np.asarray(value(table.sum(axis=2)).mean(axis=-1)), np.concatenate(blocks, axis=1)
