"""Failed and missing cells: what they count as, who may be ranked, and a test for incomplete tables. Matrices are [tasks, methods]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.sparse import csgraph

from .ranks import task_ranks
from .result import N_RESAMPLES, Direction, Floats, TestResult, at_least, monte_carlo_error, monte_carlo_pvalue, orient


def intention_to_treat(scores: ArrayLike, failed: ArrayLike, floor: ArrayLike) -> Floats:
    """Scores with every failed run at its task's declared floor; a run that was never made stays missing.

    scores, failed : [tasks, ...]; floor : [tasks], chance or whatever the task declares for a failed run. Dropping failures instead would reward the
    method that fails on what is hard; that complete-case mean is for a second column.

    >>> intention_to_treat([[0.9, float("nan")], [0.8, 0.7]], [[False, True], [False, False]], [0.5, 0.25])
    array([[0.9, 0.5],
           [0.8, 0.7]])
    """
    table, lost = np.array(scores, dtype=np.float64), np.asarray(failed, dtype=bool)
    if table.shape != lost.shape:
        raise ValueError(f"scores and failed differ in shape: {table.shape} and {lost.shape}")
    low = np.broadcast_to(np.asarray(floor, dtype=np.float64), table.shape[:1]).reshape((-1,) + (1,) * (table.ndim - 1))
    if np.isnan(np.broadcast_to(low, table.shape)[lost]).any():
        raise ValueError("a failed run's task declares no floor")
    return np.where(lost, low, table)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Which methods may be ranked: those with a score on every supported task.

    counted, supported : [methods], cells present and cells that could be; label as printed, "7/10"; complete : positions of rankable methods
    common_tasks : tasks on which every method has a score
    """

    counted: tuple[int, ...]
    supported: tuple[int, ...]
    labels: tuple[str, ...]
    complete: tuple[int, ...]
    partial: tuple[int, ...]
    common_tasks: tuple[int, ...]


def coverage(scores: ArrayLike, unsupported: ArrayLike | None = None) -> Coverage:
    """Coverage of each method. scores, unsupported : [tasks, methods]; an unsupported cell is planned to be empty and is no gap.

    >>> coverage([[0.9, 0.8], [float("nan"), 0.7]]).labels
    ('1/2', '2/2')
    """
    table = np.asarray(scores, dtype=np.float64)
    excluded = np.zeros(table.shape, dtype=bool) if unsupported is None else np.asarray(unsupported, dtype=bool)
    present = np.isfinite(table) & ~excluded
    counted, supported = present.sum(axis=0), (~excluded).sum(axis=0)
    full = (counted == supported) & (supported > 0)
    return Coverage(
        counted=tuple(int(n) for n in counted),
        supported=tuple(int(n) for n in supported),
        labels=tuple(f"{a}/{b}" for a, b in zip(counted, supported, strict=True)),
        complete=tuple(int(i) for i in np.flatnonzero(full)),
        partial=tuple(int(i) for i in np.flatnonzero(~full)),
        common_tasks=tuple(int(i) for i in np.flatnonzero(np.isfinite(table).all(axis=1))),
    )


def bounded_imputation(scores: ArrayLike, worst: ArrayLike, best: ArrayLike) -> tuple[Floats, Floats]:
    """The lowest and highest mean over tasks that each method could have, its missing cells put at the task's worst and best possible score.

    scores : [tasks, methods]; worst, best : [tasks] (floor and ceiling). Two methods whose bounds do not overlap are ordered whatever the gaps hold.

    >>> bounded_imputation([[0.9, 0.8], [float("nan"), 0.6]], 0.0, 1.0)
    (array([0.45, 0.7 ]), array([0.95, 0.7 ]))
    """
    table = np.asarray(scores, dtype=np.float64)
    if not len(table):
        return np.full(table.shape[1], np.nan), np.full(table.shape[1], np.nan)
    ends = [np.broadcast_to(np.asarray(end, dtype=np.float64), table.shape[:1])[:, None] for end in (worst, best)]
    filled = [np.where(np.isfinite(table), table, end).mean(axis=0) for end in ends]
    return np.minimum(*filled), np.maximum(*filled)


def durbin(scores: ArrayLike, direction: Direction = "higher") -> TestResult:
    """Whether any method differs in a *balanced* incomplete design: every task has k of the t methods, every method r of the b tasks.

    T1 = (t - 1) sum_j (R_j - r (k + 1) / 2)^2 / (A - C) from the rank sums R_j, A the sum of squared ranks (which corrects for ties) and
    C = b k (k + 1)^2 / 4; `statistic` is T2 = (T1 / (t - 1)) / ((b (k - 1) - T1) / (b k - b - t + 1)), F with t - 1 and b k - b - t + 1 degrees of freedom
    (details: df2, and T1 with its chi-squared p). Friedman's test with Iman and Davenport's F where nothing is missing. For other gaps, and where tasks are few (T2 rejects 9 % of
    true nulls with 7 tasks of 3 methods): `skillings_mack` by permutations, whose statistic is T1 here.
    Source: Durbin 1951; Conover 1999, "Practical nonparametric statistics", 5.9, which prefers T2.

    >>> durbin([[3, 2, float("nan")], [float("nan"), 3, 1], [3, float("nan"), 1]]).pvalue.__round__(3)
    0.333
    """
    table = orient(scores, direction)
    present = np.isfinite(table)
    kept = present.any(axis=1)
    table, present = table[kept], present[kept]
    name, (n, t), dropped = "Durbin, T2", table.shape, int(np.count_nonzero(~kept))
    sizes, repeats = set(present.sum(axis=1).tolist()), set(present.sum(axis=0).tolist())
    both = present.T.astype(np.int64) @ present.astype(np.int64)
    together = set(both[np.triu_indices(t, 1)].tolist())
    reason = None
    if n < 2 or t < 2:
        reason = "fewer than two tasks" if n < 2 else "one method"
    elif len(sizes) > 1 or len(repeats) > 1 or len(together) > 1 or min(together) == 0:
        reason = "the gaps are not balanced: see skillings_mack"
    if reason:
        return TestResult(method=name, n=n, n_dropped=dropped, generalise_over="tasks", degenerate=reason)
    k, r = sizes.pop(), repeats.pop()
    ranks = np.where(present, task_ranks(table), 0.0)
    spread = float((ranks**2).sum()) - n * k * (k + 1) ** 2 / 4
    if spread <= 1e-12:
        return TestResult(
            method=name, n=n, n_dropped=dropped, generalise_over="tasks", statistic=0.0, pvalue=1.0, degenerate="every task is fully tied"
        )
    chi2 = (t - 1) * float(((ranks.sum(axis=0) - r * (k + 1) / 2) ** 2).sum()) / spread
    rest, df2 = n * (k - 1) - chi2, n * k - n - t + 1
    details: dict[str, Any] = {"chi2": round(chi2, 12), "pvalue_chi2": float(stats.chi2.sf(chi2, t - 1)), "df2": float(df2)}
    about: dict[str, Any] = {"n": n, "n_dropped": dropped, "generalise_over": "tasks", "df": float(t - 1), "details": details}
    if df2 < 1 or rest <= 1e-9:
        return TestResult(
            method=name, **about, degenerate="no degrees of freedom are left for F" if df2 < 1 else "perfect agreement: F is infinite"
        )
    value = (chi2 / (t - 1)) / (rest / df2)
    return TestResult(method=name, **about, statistic=value, pvalue=float(stats.f.sf(value, t - 1, df2)))


def skillings_mack(
    scores: ArrayLike,
    direction: Direction = "higher",
    *,
    reference: Literal["chi2", "permutation"] = "chi2",
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
) -> TestResult:
    """Whether any method differs when cells are missing at random; Friedman's test where none is.

    A_j = sum over tasks of sqrt(12 / (k_t + 1)) (rank_tj - (k_t + 1) / 2), k_t methods present, a missing cell adding 0; T = A' S^- A with
    S_jj = sum (k_t - 1) over j's tasks and S_jl = - number of tasks with both; chi-squared on k - 1. With few tasks or many ties take the permutation
    reference: present scores are shuffled within tasks. Tasks with one method are dropped. Source: Skillings and Mack 1981.

    >>> skillings_mack([[3, 2, 1], [3, 1, 2], [3, 2, float("nan")], [2, 1, float("nan")]]).statistic.__round__(3)
    4.978
    """
    table = orient(scores, direction)
    present = np.isfinite(table)
    kept = present.sum(axis=1) >= 2
    table, present = table[kept], present[kept]
    name, n, dropped, k = "Skillings-Mack", len(table), int(np.count_nonzero(~kept)), table.shape[1]
    both = present.T.astype(np.float64) @ present.astype(np.float64)
    np.fill_diagonal(both, 0.0)
    if n < 2 or k < 2:
        reason = "fewer than two tasks with two methods" if n < 2 else "one method"
        return TestResult(method=name, n=n, n_dropped=dropped, generalise_over="tasks", degenerate=reason)
    if csgraph.connected_components(both > 0, directed=False)[0] > 1:
        reason = "groups of methods that share no task"
        return TestResult(method=name, n=n, n_dropped=dropped, generalise_over="tasks", degenerate=reason)
    inverse = np.linalg.pinv(np.diag(both.sum(axis=1)) - both, hermitian=True)
    size = present.sum(axis=1)
    scores_in_task = np.where(present, np.sqrt(12 / (size + 1))[:, None] * (task_ranks(table) - (size[:, None] + 1) / 2), 0.0)
    total = scores_in_task.sum(axis=0)
    statistic = float(total @ inverse @ total)
    about: dict[str, Any] = {
        "df": float(k - 1),
        "statistic": statistic,
        "n_dropped": dropped,
        "degenerate": None if total.any() else "all tied",
    }
    if reference == "chi2":
        return TestResult(method=name, n=n, generalise_over="tasks", pvalue=float(stats.chi2.sf(statistic, k - 1)), **about)
    exceeding = _permuted_exceedances(scores_in_task, present, inverse, statistic, rng, n_resamples)
    pvalue = monte_carlo_pvalue(exceeding, n_resamples)
    return TestResult(
        method=f"{name}, permutations within tasks", n=n, generalise_over="tasks", pvalue=pvalue, n_resamples=n_resamples,
        mc_error=monte_carlo_error(pvalue, n_resamples), **about,
    )  # fmt: skip


def _permuted_exceedances(
    scores_in_task: Floats, present: NDArray[np.bool_], inverse: Floats, statistic: float, rng: np.random.Generator | None, n_resamples: int
) -> int:
    if rng is None:
        raise ValueError("rng is needed for the permutation reference")
    drawn = np.zeros((n_resamples, scores_in_task.shape[1]))
    for row, here in zip(scores_in_task, present, strict=True):
        drawn[:, here] += rng.permuted(np.broadcast_to(row[here], (n_resamples, int(here.sum()))), axis=1)
    return int(np.count_nonzero(at_least(((drawn @ inverse) * drawn).sum(axis=1), statistic)))
