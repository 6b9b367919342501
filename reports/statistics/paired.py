"""The default comparison of two arms on one task: over seeds and examples together.

Over examples alone two equal methods differ "significantly" as soon as training is noisy; over seeds alone, as soon as methods differ per
example. The crossed test holds its level in both regimes (docs/statistics-calibration.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .components import CrossedParts, crossed_parts
from .result import TIE_TOLERANCE, Alternative, Floats, GeneraliseOver, TestResult, round_ties
from .t_tests import paired_t, t_test, welch_t, without_spread


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    *,
    generalise_over: GeneraliseOver = "seeds+examples",
    seeds_paired: bool = True,
    cluster: ArrayLike | None = None,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> TestResult:
    """Mean of a - b over crossed tables [seeds, examples] with the same examples, its interval and t test.

    With D = a - b, SE^2 = (MS_seed + MS_example - MS_rest) / (S E), not under the largest of the three, and
    df = (MS_s + MS_e - MS_r)^2 / (MS_s^2/(S-1) + MS_e^2/(E-1) + MS_r^2/((S-1)(E-1))), not under min(S, E) - 1. Seeds are paired when both
    arms drew the same rows and demonstrations; otherwise (`seeds_paired=False`, numbers of seeds may differ) each arm has its own seed
    part: SE^2 = s_A + s_B + e(D) - r_A - r_B. `cluster` labels examples that come together. effect = difference / sd of all
    differences (paired seeds only).

    `generalise_over="seeds"` or "examples" tests for this test set, or for these trained models, alone. One seed (or one example) leaves
    the other alone, and `note` says so.

    Source: Searle, Casella and McCulloch 1992, ch. 4; Satterthwaite 1946.
    >>> found = paired_difference([[1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 1]], [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 1]])
    >>> round(found.estimate, 3), round(found.df, 1)
    (0.417, 2.0)
    """
    left, right, kept, dropped = same_examples(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), seeds_paired)
    labels = None if cluster is None else np.asarray(cluster)[kept]
    n_seeds, n_examples = min(len(left), len(right)), left.shape[1]
    about: dict[str, Any] = {"alternative": alternative, "level": level}
    over, note = generalise_over, None
    if over == "seeds+examples" and n_seeds == 1:
        over, note = "examples", "one seed: seed variance unknown"
    elif over == "seeds+examples" and n_examples == 1:
        over, note = "seeds", "one example: example variance unknown"
    if not n_seeds or not n_examples:
        found = without_spread(np.zeros(0), method="difference of means", generalise_over=over, **about)
    elif over == "examples":
        found = paired_t(left.mean(axis=0), right.mean(axis=0), cluster=labels, generalise_over="examples", **about)
    elif over == "seeds":
        test = paired_t if seeds_paired else welch_t
        found = test(left.mean(axis=1), right.mean(axis=1), **about)
    elif over == "seeds+examples":
        found = _over_seeds_and_examples(left, right, seeds_paired, labels, about)
    else:
        raise ValueError(f"one task cannot generalise over {over!r}")
    counts = {"seeds_a": len(left), "seeds_b": len(right), "examples": n_examples, **dropped}
    return replace(found, note=note, n_dropped=sum(dropped.values()), details={**counts, **found.details})


def same_examples(a: Floats, b: Floats, seeds_paired: bool) -> tuple[Floats, Floats, Any, dict[str, int]]:
    """Both tables without failed seeds, and without examples that a remaining seed lacks; which examples are kept, what was dropped."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"[seeds, examples] over the same examples expected, got {a.shape} and {b.shape}")
    if seeds_paired and len(a) != len(b):
        raise ValueError(f"paired seeds differ in number: {len(a)} and {len(b)}")
    ok_a, ok_b = np.isfinite(a).any(axis=1), np.isfinite(b).any(axis=1)
    if seeds_paired:
        ok_a = ok_b = ok_a & ok_b
        lost = int(np.count_nonzero(~ok_a))
    else:
        lost = int(np.count_nonzero(~ok_a) + np.count_nonzero(~ok_b))
    a, b = a[ok_a], b[ok_b]
    kept = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
    return a[:, kept], b[:, kept], kept, {"dropped_seeds": lost, "dropped_examples": int(np.count_nonzero(~kept))}


def crossed_difference(a: Floats, b: Floats, *, seeds_paired: bool = True, cluster: ArrayLike | None = None) -> tuple[Any, Any, Any]:
    """(difference, SE^2, df) of complete tables [..., seeds, examples], elementwise over the leading axes."""
    if seeds_paired:
        parts = crossed_parts(a - b, cluster)
        return parts.estimate, *satterthwaite([parts], parts)
    # the seed axes are unrelated: only the example means of the two arms can be subtracted
    own = [crossed_parts(a, cluster), crossed_parts(b, cluster)]
    column = a.mean(axis=-2, keepdims=True) - b.mean(axis=-2, keepdims=True)
    shared = crossed_parts(np.concatenate([column, column], axis=-2), cluster)
    return shared.estimate, *satterthwaite(own, shared)


def satterthwaite(own: Sequence[CrossedParts], shared: CrossedParts) -> tuple[Any, Any]:
    """(variance, df) of seed parts + example part - remainders, each group with its degrees of freedom.

    The variance is not taken under its largest group, nor df under the smallest of seeds' and examples': where the remainder is large by
    chance the plain forms run towards 0.
    """
    seeds = sum(part.seeds for part in own)
    both = sum(part.both for part in own)
    plain = seeds + shared.examples - both
    spread = shared.examples**2 / shared.df_examples + sum(part.seeds**2 / part.df_seeds + part.both**2 / part.df_both for part in own)
    lowest = min(shared.df_examples, *(part.df_seeds for part in own))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.nan_to_num(plain**2 / spread, nan=lowest)
    return np.maximum(plain, np.maximum(np.maximum(seeds, both), shared.examples)), np.maximum(df, lowest)


def _over_seeds_and_examples(a: Floats, b: Floats, seeds_paired: bool, cluster: Any, about: dict[str, Any]) -> TestResult:
    if cluster is not None and len(np.unique(cluster)) < 2:
        reason, estimate = "fewer than two clusters", float(a.mean() - b.mean())
        return TestResult(method="crossed t", n=1, generalise_over="seeds+examples", estimate=estimate, degenerate=reason, **about)
    method = "crossed paired t" if seeds_paired else "crossed t, unpaired seeds"
    names: dict[str, Any] = {"method": method, "generalise_over": "seeds+examples", "n": min(len(a), len(b)), **about}
    estimate, variance, df = crossed_difference(a, b, seeds_paired=seeds_paired, cluster=cluster)
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    # what float64 leaves of no variance at all
    if math.sqrt(variance) <= TIE_TOLERANCE * scale:
        return without_spread(round_ties(np.full(2, estimate), scale), **names)
    effect = float(estimate / (a - b).std(ddof=1)) if seeds_paired else None
    return t_test(float(estimate), math.sqrt(variance), float(df), effect=effect, **names)
