"""Rank tests over tasks: is any method different (Friedman), and which pairs (Nemenyi, Conover). Matrices are [tasks, methods]."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .adjust import adjust
from .pairwise import PairwiseComparison, complete_tasks, smallest_number_of_tasks
from .rank_tests import wilcoxon_signed_rank
from .ranks import task_ranks
from .result import N_RESAMPLES, Direction, Floats, TestResult, monte_carlo_error, monte_carlo_pvalue

FEW_TASKS = 6  # below this the chi-squared and F approximations are not used


@dataclass(frozen=True, kw_only=True)
class Friedman:
    """Both published forms of the statistic: corrected for ties (scipy, R) and not (Demsar 2006), and Iman and Davenport's F of each.

    mean_ranks : [methods], 1 = best; chi2 on k - 1, f on (k - 1, (k - 1)(T - 1)) degrees of freedom
    f, pvalue_f : None where all tasks agree perfectly (F is infinite there); kendall_w : chi2 / (T (k - 1)), 1 = perfect agreement
    """

    mean_ranks: Floats
    chi2: float | None
    pvalue_chi2: float | None
    f: float | None
    pvalue_f: float | None
    chi2_uncorrected: float | None
    f_uncorrected: float | None
    pvalue_f_uncorrected: float | None
    kendall_w: float | None
    n_tasks: int
    n_dropped: int
    n_methods: int
    degenerate: str | None = None


def friedman_test(scores: ArrayLike, direction: Direction = "higher") -> Friedman:
    """chi2 = 12 T / (k (k + 1)) (sum_j R_j^2 - k (k + 1)^2 / 4) from mean ranks R_j, divided by 1 - sum (t^3 - t) / (T k (k^2 - 1)) for ties.

    F = (T - 1) chi2 / (T (k - 1) - chi2). Tasks with a missing cell are dropped and counted.
    Source: Friedman 1937; Iman and Davenport 1980; Demsar 2006, "Statistical comparisons of classifiers over multiple data sets".

    >>> found = friedman_test([[0.9, 0.8, 0.7], [0.8, 0.6, 0.7], [0.9, 0.5, 0.4]])
    >>> round(found.chi2, 3), round(found.kendall_w, 3)
    (4.667, 0.778)
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    ranks = task_ranks(table)
    mean_ranks = ranks.mean(axis=0) if n_tasks else np.full(k, np.nan)

    def result(degenerate: str | None = None, **numbers: float | None) -> Friedman:
        names = ["chi2", "pvalue_chi2", "f", "pvalue_f", "chi2_uncorrected", "f_uncorrected", "pvalue_f_uncorrected", "kendall_w"]
        filled = {name: numbers.get(name) for name in names}
        return Friedman(mean_ranks=mean_ranks, n_tasks=n_tasks, n_dropped=dropped, n_methods=k, degenerate=degenerate, **filled)

    if n_tasks < 2 or k < 2:
        return result("fewer than two complete tasks" if n_tasks < 2 else "one method")
    plain = max(12 * n_tasks / (k * (k + 1)) * float((mean_ranks**2).sum() - k * (k + 1) ** 2 / 4), 0.0)
    ties = sum(float((counts**3 - counts).sum()) for counts in (np.unique(row, return_counts=True)[1] for row in ranks))
    correction = 1 - ties / (n_tasks * k * (k**2 - 1))
    if correction <= 1e-12:
        return result("every task is fully tied", chi2=0.0, pvalue_chi2=1.0, f=0.0, pvalue_f=1.0, chi2_uncorrected=0.0,
                      f_uncorrected=0.0, pvalue_f_uncorrected=1.0, kendall_w=0.0)  # fmt: skip
    corrected = plain / correction
    (f, p_f), (f_plain, p_plain) = (_iman_davenport(value, n_tasks, k) for value in (corrected, plain))
    return result(
        None if f is not None else "perfect agreement: F is infinite",
        chi2=corrected,
        pvalue_chi2=float(stats.chi2.sf(corrected, k - 1)),
        f=f,
        pvalue_f=p_f,
        chi2_uncorrected=plain,
        f_uncorrected=f_plain,
        pvalue_f_uncorrected=p_plain,
        kendall_w=corrected / (n_tasks * (k - 1)),
    )


def _iman_davenport(chi2: float, n_tasks: int, k: int) -> tuple[float | None, float | None]:
    rest = n_tasks * (k - 1) - chi2
    if rest <= 1e-9:
        return None, None
    value = (n_tasks - 1) * chi2 / rest
    return value, float(stats.f.sf(value, k - 1, (k - 1) * (n_tasks - 1)))


def permutation_friedman(
    scores: ArrayLike, direction: Direction = "higher", *, rng: np.random.Generator | None = None, n_resamples: int = N_RESAMPLES
) -> TestResult:
    """Friedman's statistic against its distribution when the methods of every task are shuffled; exact where (k!)^(T-1) <= n_resamples.

    >>> permutation_friedman([[3, 2, 1], [3, 2, 1], [3, 2, 1]]).pvalue.__round__(4)
    0.0278
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    found = friedman_test(table)
    name = "Friedman, permutations within tasks"
    if found.chi2 is None:
        return TestResult(method=name, n=n_tasks, n_dropped=dropped, generalise_over="tasks", degenerate=found.degenerate)
    doubled = np.rint(2 * task_ranks(table)).astype(np.int64)  # average ranks are multiples of 1/2: integer sums tie exactly
    observed = int((doubled.sum(axis=0) ** 2).sum())
    exact = (n_tasks - 1) * math.lgamma(k + 1) <= math.log(n_resamples) + 1e-9
    if exact:
        orders = np.array(list(itertools.permutations(range(k))))
        sums = doubled[:1]
        for row in doubled[1:]:
            sums = (sums[:, None, :] + row[orders][None, :, :]).reshape(-1, k)
    elif rng is None:
        raise ValueError("rng is needed: there are too many permutations to enumerate them")
    else:
        shuffled = (rng.permuted(np.broadcast_to(row, (n_resamples, k)), axis=1) for row in doubled)
        sums = np.sum(list(shuffled), axis=0)
    exceeding = int(np.count_nonzero((sums**2).sum(axis=1) >= observed))
    pvalue = monte_carlo_pvalue(exceeding, len(sums), exhaustive=exact)
    return TestResult(
        method=name, n=n_tasks, n_dropped=dropped, generalise_over="tasks", statistic=found.chi2, pvalue=pvalue, effect=found.kendall_w,
        n_resamples=len(sums), mc_error=monte_carlo_error(pvalue, len(sums), exhaustive=exact), degenerate=found.degenerate if found.chi2 == 0 else None,
    )  # fmt: skip


def any_difference(scores: ArrayLike, direction: Direction = "higher", *, rng: np.random.Generator | None = None) -> TestResult:
    """Whether any method differs: Wilcoxon for two, permutations below 6 tasks, else Iman and Davenport's F corrected for ties. effect = Kendall's W.

    >>> any_difference([[0.9, 0.8, 0.7]] * 3).method
    'Friedman, permutations within tasks'
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    if k == 2 and n_tasks >= 2:
        return wilcoxon_signed_rank(table[:, 0], table[:, 1], generalise_over="tasks")
    found = friedman_test(table)
    if found.chi2 is None or (found.f is not None and n_tasks >= FEW_TASKS):
        return TestResult(
            method="Friedman, Iman-Davenport F", n=n_tasks, n_dropped=dropped, generalise_over="tasks", statistic=found.f, df=float(k - 1),
            pvalue=found.pvalue_f, effect=found.kendall_w, degenerate=found.degenerate, details={"df2": float((k - 1) * (n_tasks - 1))},
        )  # fmt: skip
    return permutation_friedman(table, rng=rng)


# --- which pairs ------------------------------------------------------------------------------------------------------------------------


def critical_difference(n_methods: int, n_tasks: int, alpha: float = 0.05) -> float:
    """Nemenyi's difference of mean ranks: q sqrt(k (k + 1) / (6 T)), q the studentized-range quantile over infinite df *divided by sqrt 2*.

    >>> round(critical_difference(4, 14), 4)
    1.2536
    """
    quantile = float(stats.studentized_range.ppf(1 - alpha, n_methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(n_methods * (n_methods + 1) / (6 * n_tasks))


def nemenyi(scores: ArrayLike, direction: Direction = "higher", *, alpha: float = 0.05) -> PairwiseComparison:
    """All pairs by differences of mean ranks against the studentized range. Drawn for tradition: a pair's verdict depends on the other methods.

    Source: Nemenyi 1963; Demsar 2006.

    >>> nemenyi([[0.9, 0.8, 0.7]] * 9).pvalues[0].round(4).tolist()
    [1.0, 0.0855, 0.0001]
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    if n_tasks < 2 or k < 2:
        return PairwiseComparison.undefined("nemenyi", k, n_tasks, dropped, alpha)
    ranks = task_ranks(table).mean(axis=0)
    gap = ranks[None, :] - ranks[:, None]
    scaled = np.abs(gap) / math.sqrt(k * (k + 1) / (6 * n_tasks)) * math.sqrt(2)
    pvalues = np.clip(stats.studentized_range.sf(scaled, k, np.inf), 0, 1)
    pvalues[np.abs(gap) < 1e-12] = 1.0
    least = smallest_number_of_tasks(k, alpha=alpha, procedure="nemenyi")
    return PairwiseComparison(
        procedure="nemenyi", estimate=gap, unit="mean rank", pvalues=pvalues, raw_pvalues=np.full((k, k), np.nan), alpha=alpha,
        n_tasks=n_tasks, n_dropped=dropped, n_comparisons=k * (k - 1) // 2, minimum_tasks=least,
        critical_difference=critical_difference(k, n_tasks, alpha),
    )  # fmt: skip


def conover(scores: ArrayLike, direction: Direction = "higher", *, alpha: float = 0.05) -> PairwiseComparison:
    """All pairs by t = |S_i - S_j| / sqrt(2 (T sum r^2 - sum S_j^2) / ((T - 1)(k - 1))) from rank sums S_j, df (T - 1)(k - 1), with Holm.

    Source: Conover 1999, section 5.8. Where all tasks agree perfectly the variance is 0 and the pairs that differ have no p-value (NaN).

    >>> conover([[0.9, 0.8, 0.7], [0.8, 0.9, 0.7], [0.9, 0.8, 0.7]]).pvalues[0].round(3)
    array([1.   , 0.519, 0.072])
    """
    table, dropped = complete_tasks(scores, direction)
    n_tasks, k = table.shape
    if n_tasks < 2 or k < 2:
        return PairwiseComparison.undefined("conover-holm", k, n_tasks, dropped, alpha)
    ranks = task_ranks(table)
    sums = ranks.sum(axis=0)
    freedom = (n_tasks - 1) * (k - 1)
    variance = 2 * (n_tasks * (ranks**2).sum() - (sums**2).sum()) / freedom
    gap = (sums[None, :] - sums[:, None]) / n_tasks
    raw = np.full((k, k), np.nan)
    if variance > 1e-9:
        raw = 2 * stats.t.sf(np.abs(gap) * n_tasks / math.sqrt(variance), freedom)
    raw[gap == 0] = 1.0
    first, second = np.triu_indices(k, 1)
    adjusted = np.ones((k, k))
    adjusted[first, second] = adjusted[second, first] = adjust(raw[first, second], "holm", alpha=alpha).adjusted
    return PairwiseComparison(
        procedure="conover-holm", estimate=gap, unit="mean rank", pvalues=adjusted, raw_pvalues=raw, alpha=alpha, n_tasks=n_tasks,
        n_dropped=dropped, n_comparisons=len(first), minimum_tasks=None,
        degenerate=None if variance > 1e-9 or not gap.any() else "perfect agreement: no variance to test against",
    )  # fmt: skip
