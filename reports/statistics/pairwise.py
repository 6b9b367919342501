"""What a comparison of many methods returns, whichever test made it, and how many tasks each test needs before it can reject anything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .result import Direction, Floats, orient

Procedure = Literal["wilcoxon-holm", "max-t", "nemenyi"]


@dataclass(frozen=True, kw_only=True)
class PairwiseComparison:
    """Every pair of methods over tasks.

    estimate : [methods, methods], row against column in `unit`, positive where the row is better
    pvalues : adjusted for `n_comparisons`; 1 on the diagonal, NaN where a pair was not compared (with a baseline) or is undefined
    raw_pvalues : before adjustment, NaN for procedures that have none
    minimum_tasks : fewest tasks at which this procedure can reject any pair; below it, "not significant" says nothing
    critical_difference : of mean ranks, for Nemenyi; why : the reason the procedure was chosen
    """

    procedure: str
    estimate: Floats
    unit: str
    pvalues: Floats
    raw_pvalues: Floats
    alpha: float
    n_tasks: int
    n_dropped: int
    n_comparisons: int
    minimum_tasks: int | None
    baseline: int | None = None
    critical_difference: float | None = None
    n_resamples: int | None = None
    mc_error: float | None = None
    why: str | None = None
    degenerate: str | None = None

    @property
    def different(self) -> NDArray[np.bool_]:
        """[methods, methods], true where the test told the two apart at `alpha`."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.pvalues <= self.alpha)

    @property
    def can_reject(self) -> bool:
        """Whether any outcome could have been significant with this many tasks."""
        return self.n_tasks >= 2 and self.n_comparisons > 0 and (self.minimum_tasks is None or self.n_tasks >= self.minimum_tasks)

    @classmethod
    def undefined(
        cls, procedure: str, n_methods: int, n_tasks: int, n_dropped: int, alpha: float, *, baseline: int | None = None
    ) -> PairwiseComparison:
        """The answer for too few tasks or methods: no p-value off the diagonal."""
        empty = np.full((n_methods, n_methods), np.nan)
        pairs = number_of_comparisons(n_methods, baseline is not None)
        return cls(
            procedure=procedure, estimate=empty, unit="score", pvalues=np.where(np.eye(n_methods, dtype=bool), 1.0, empty),
            raw_pvalues=empty, alpha=alpha, n_tasks=n_tasks, n_dropped=n_dropped, n_comparisons=pairs, minimum_tasks=None,
            baseline=baseline, degenerate="one method" if n_methods < 2 else "fewer than two complete tasks",
        )  # fmt: skip


def complete_tasks(scores: ArrayLike, direction: Direction = "higher") -> tuple[Floats, int]:
    """The tasks on which every method has a score, oriented so that higher is better, and how many tasks were dropped.

    Methods with partial coverage should be set aside before: one of them takes its missing tasks away from all the others.

    >>> complete_tasks([[0.1, 0.2], [0.3, float("nan")]])
    (array([[0.1, 0.2]]), 1)
    """
    table = orient(scores, direction)
    if table.ndim != 2:
        raise ValueError(f"scores: [tasks, methods] expected, got shape {table.shape}")
    present = np.isfinite(table).all(axis=1)
    return table[present], int(np.count_nonzero(~present))


def number_of_comparisons(n_methods: int, against_baseline: bool = False) -> int:
    """k - 1 against a baseline, k (k - 1) / 2 for all pairs."""
    return max(n_methods - 1, 0) if against_baseline else n_methods * max(n_methods - 1, 0) // 2


def smallest_number_of_tasks(
    n_methods: int, *, alpha: float = 0.05, procedure: Procedure = "wilcoxon-holm", against_baseline: bool = False, ties: bool = False
) -> int | None:
    """Fewest tasks at which one pair, winning on all of them, is rejected; None with fewer than two methods.

    wilcoxon-holm : the smallest exact two-sided p is 2^-(T-1), multiplied by the number of comparisons m. With `ties` it is the normal approximation's
    that counts, 2 Phi(-sqrt(1.5 T (T + 1) / (2 T + 1))), which is larger from 5 tasks on.
    max-t : one pair can lead all others in every resample, so 2^-(T-1) is not multiplied.
    nemenyi : the largest difference of mean ranks, k - 1, must reach the critical difference (an asymptotic bound: it says 3 where no exact test could reject).

    >>> [smallest_number_of_tasks(k) for k in (5, 10, 20, 50, 76)]
    [9, 11, 13, 16, 17]
    >>> [smallest_number_of_tasks(k, against_baseline=True) for k in (5, 10, 20, 50, 76)]
    [8, 9, 10, 11, 12]
    >>> smallest_number_of_tasks(10, procedure="max-t"), smallest_number_of_tasks(10, ties=True)
    (6, 14)
    """
    if n_methods < 2:
        return None
    if procedure == "nemenyi":
        quantile = float(stats.studentized_range.ppf(1 - alpha, n_methods, np.inf)) / math.sqrt(2)
        return max(2, math.ceil(quantile**2 * n_methods * (n_methods + 1) / (6 * (n_methods - 1) ** 2) - 1e-9))
    comparisons = number_of_comparisons(n_methods, against_baseline) if procedure == "wilcoxon-holm" else 1
    least = max(2, 1 + math.ceil(math.log2(comparisons / alpha) - 1e-12))
    if procedure == "wilcoxon-holm" and ties:
        while comparisons * 2 * stats.norm.sf(math.sqrt(1.5 * least * (least + 1) / (2 * least + 1))) > alpha:
            least += 1
    return least
