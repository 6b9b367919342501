"""Where the variance of a score comes from: seeds, examples, templates, splits.

All tables are balanced and crossed (every seed scored on every example). A seed that failed on all of them, and then any example that some
seed lacks, is left out and counted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .result import TIE_TOLERANCE, Floats

REMAINDER = "remainder"


@dataclass(frozen=True, kw_only=True)
class VarianceComponents:
    """Components of a crossed table, named by axis ("seed"), pair ("seed:template") and "remainder".

    mean_squares, degrees : the table of the analysis of variance; variances : components, negative estimates shown as 0;
    shares : variances divided by their sum (None where nothing varies); se, df : of the grand mean over new levels of every axis
    """

    axes: tuple[str, ...]
    sizes: tuple[int, ...]
    estimate: float | None
    se: float | None
    df: float | None
    mean_squares: Mapping[str, float]
    degrees: Mapping[str, int]
    variances: Mapping[str, float]
    shares: Mapping[str, float] | None
    n_dropped: Mapping[str, int]
    degenerate: str | None = None


def complete_table(table: Floats) -> tuple[Floats, int, int]:
    """[seeds, examples] without failed seeds (all missing), then without examples that a remaining seed lacks; both counted."""
    if table.ndim != 2:
        raise ValueError(f"[seeds, examples] expected, got shape {table.shape}")
    present = np.isfinite(table)
    seeds = present.any(axis=1)
    examples = present[seeds].all(axis=0) if seeds.any() else np.zeros(table.shape[1], dtype=bool)
    return table[np.ix_(seeds, examples)], int(np.count_nonzero(~seeds)), int(np.count_nonzero(~examples))


def variance_components(table: ArrayLike, axes: Sequence[str] = ("seed", "example")) -> VarianceComponents:
    """Moment estimates (Henderson's method 1) for a balanced crossed table with one value per cell and one named axis per dimension.

    With two axes the components are the two axes and the remainder; from three axes on, every pair has its own. Expected mean squares:
    E MS_A = s_r + sum_B N/(n_A n_B) s_AB + N/n_A s_A and E MS_AB = s_r + N/(n_A n_B) s_AB. An axis of one level is left out: its
    variance is not estimable. SE^2 of the mean = (sum MS_A - sum MS_AB + c MS_r) / N, not under max(MS) / N; df by Satterthwaite.

    Source: Searle, Casella and McCulloch 1992, ch. 4-5; Satterthwaite 1946.
    >>> found = variance_components([[0.6, 0.2, 0.9], [0.5, 0.3, 0.8], [0.7, 0.2, 0.8]])
    >>> {name: round(value, 4) for name, value in found.variances.items()}
    {'seed': 0.0, 'example': 0.0889, 'remainder': 0.0078}
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != len(axes) or len(set(axes)) != len(axes):
        raise ValueError(f"axes {tuple(axes)} do not name the {values.ndim} dimensions of the table")
    dropped: dict[str, int] = {}
    if values.ndim == 2:
        values, dropped[axes[0]], dropped[axes[1]] = complete_table(values)
    if not np.isfinite(values).all():
        raise ValueError("missing cells: a table of three or more axes must be complete; select complete levels first")
    names = tuple(axis for axis, size in zip(axes, values.shape) if size > 1)
    values = values.squeeze() if values.size else values
    if not names or not values.size:
        return _undefined(axes, values, dropped)
    squares, degrees = _sums_of_squares(values, names)
    mean_squares = {name: squares[name] / degrees[name] for name in squares}
    variances = {name: max(value, 0.0) for name, value in _components(mean_squares, names, values.shape).items()}
    se, df = mean_precision(mean_squares, degrees, names, values.size)
    total = sum(variances.values())
    return VarianceComponents(
        axes=names,
        sizes=values.shape,
        estimate=float(values.mean()),
        se=se,
        df=df if se > 0 else None,
        mean_squares=mean_squares,
        degrees=degrees,
        variances=variances,
        shares={name: value / total for name, value in variances.items()} if total > 0 else None,
        n_dropped=dropped,
        degenerate=None if total > 0 else "zero variance",
    )


def _undefined(axes: Sequence[str], values: Floats, dropped: Mapping[str, int]) -> VarianceComponents:
    reason = "no values" if values.size == 0 else "one value: no variance is estimable"
    estimate = float(values.mean()) if values.size else None
    empty: dict[str, float] = {}
    return VarianceComponents(
        axes=tuple(axes), sizes=values.shape, estimate=estimate, se=None, df=None, mean_squares=empty, degrees={}, variances=empty,
        shares=None, n_dropped=dropped, degenerate=reason,
    )  # fmt: skip


def pairs_of(names: Sequence[str]) -> list[tuple[int, int]]:
    # with two axes the pair is the remainder
    return list(itertools.combinations(range(len(names)), 2)) if len(names) > 2 else []


def _sums_of_squares(values: Floats, names: Sequence[str]) -> tuple[dict[str, float], dict[str, int]]:
    """Sums of squares and degrees of freedom per term; what axes and pairs leave is the remainder."""
    everything = set(range(values.ndim))
    centred = values - values.mean()

    def marginal(*keep: int) -> Floats:
        # keepdims, so that marginals broadcast against each other
        return np.asarray(centred.mean(axis=tuple(everything - set(keep)), keepdims=True))

    squares: dict[str, float] = {}
    degrees: dict[str, int] = {}
    rest = centred
    for i, name in enumerate(names):
        effect = marginal(i)
        rest = rest - effect
        squares[name] = float((effect**2).sum()) * values.size / values.shape[i]
        degrees[name] = values.shape[i] - 1
    for i, j in pairs_of(names):
        effect = marginal(i, j) - marginal(i) - marginal(j)
        rest = rest - effect
        squares[f"{names[i]}:{names[j]}"] = float((effect**2).sum()) * values.size / (values.shape[i] * values.shape[j])
        degrees[f"{names[i]}:{names[j]}"] = (values.shape[i] - 1) * (values.shape[j] - 1)
    left = values.size - 1 - sum(degrees.values())
    if left > 0:
        # from what is left of the table: a difference of sums of squares would leave 1e-16 of the largest, which the components divide and keep
        squares[REMAINDER] = float((rest**2).sum())
        degrees[REMAINDER] = left
    # what float64 leaves of an exact 0
    noise = values.size * (TIE_TOLERANCE * float(np.abs(values).max())) ** 2
    return {name: value if value > noise else 0.0 for name, value in squares.items()}, degrees


def _components(mean_squares: Mapping[str, float], names: Sequence[str], sizes: Sequence[int]) -> dict[str, float]:
    """Expected mean squares solved for the components, untruncated."""
    total, rest = math.prod(sizes), mean_squares.get(REMAINDER, 0.0)
    excess = {name: value - rest for name, value in mean_squares.items()}
    variances = {}
    for i, name in enumerate(names):
        shared = sum(excess[f"{names[a]}:{names[b]}"] for a, b in pairs_of(names) if i in (a, b))
        variances[name] = (excess[name] - shared) * sizes[i] / total
    for i, j in pairs_of(names):
        variances[f"{names[i]}:{names[j]}"] = excess[f"{names[i]}:{names[j]}"] * sizes[i] * sizes[j] / total
    if REMAINDER in mean_squares:
        variances[REMAINDER] = rest
    return variances


def mean_precision(mean_squares: Mapping[str, float], degrees: Mapping[str, int], names: Sequence[str], total: int) -> tuple[float, float]:
    """(se, df) of the grand mean from mean squares: each component divided by its number of levels, summed."""
    n_pairs = len(pairs_of(names))
    parts = []
    for name, value in mean_squares.items():
        sign = 1 if name in names else 1 - len(names) + n_pairs if name == REMAINDER else -1
        parts.append((sign * value / total, degrees[name]))
    variance = max(sum(part for part, _ in parts), max(abs(value) / total for value in mean_squares.values()))
    spread = sum(part**2 / degree for part, degree in parts if degree > 0)
    smallest = min(degrees[name] for name in names)
    df = max(sum(part for part, _ in parts) ** 2 / spread, smallest) if spread > 0 else float(smallest)
    return math.sqrt(variance), df


class CrossedParts(NamedTuple):
    """The mean of [..., seeds, examples] and the three parts of its variance, each MS / (S E), with their degrees of freedom."""

    estimate: Floats
    seeds: Floats
    examples: Floats
    both: Floats
    df_seeds: int
    df_examples: int
    df_both: int


def crossed_parts(table: Floats, cluster: ArrayLike | None = None) -> CrossedParts:
    """Parts of the variance of the grand mean of [..., seeds, examples]; SE^2 = seeds + examples - both.

    With `cluster` (one label per example) examples are summed within their cluster first, CR1 correction C / (C - 1); one example per
    cluster gives the plain form.
    """
    n_seeds, n_examples = table.shape[-2:]
    estimate = table.mean(axis=(-2, -1))
    row = table.mean(axis=-1, keepdims=True) - estimate[..., None, None]
    column = table.mean(axis=-2, keepdims=True) - estimate[..., None, None]
    rest = table - estimate[..., None, None] - row - column
    if cluster is None:
        n_units = n_examples
    else:
        _, position = np.unique(np.asarray(cluster), return_inverse=True)
        member = np.eye(position.max() + 1)[position]
        n_units = member.shape[1]
        column, rest = column @ member, rest @ member
    correction = n_units / (n_units - 1) / n_examples**2
    return CrossedParts(
        estimate,
        (row**2).sum(axis=(-2, -1)) / (n_seeds * (n_seeds - 1)),
        (column**2).sum(axis=(-2, -1)) * correction,
        (rest**2).sum(axis=(-2, -1)) * correction / (n_seeds * (n_seeds - 1)),
        n_seeds - 1,
        n_units - 1,
        (n_seeds - 1) * (n_units - 1),
    )
