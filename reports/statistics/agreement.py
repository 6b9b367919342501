"""Whether two boards tell the same story: Kendall's tau, halves of the examples, and the task that decides the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .ranks import competition_ranks, task_ranks
from .result import Direction, Floats, TestResult, drop_missing, orient, round_ties


def kendall_tau(x: ArrayLike, y: ArrayLike, *, variant: Literal["b", "weighted"] = "b") -> TestResult:
    """Rank correlation of two boards of the same methods; a method missing from one is dropped and counted.

    b : (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y), with its p-value.
    weighted : exchanges near the top weigh more, hyperbolically (Vigna 2015); larger scores are the top. No p-value: its null distribution is not known.

    >>> round(kendall_tau([1, 2, 3, 4, 5], [2, 1, 3, 3, 5]).estimate, 6)
    0.737865
    """
    (left, right), dropped = drop_missing(x, y)
    left, right = round_ties(left), round_ties(right)
    name = f"Kendall tau-{variant}" if variant == "b" else "weighted Kendall tau"
    if len(left) < 2:
        return TestResult(method=name, n=len(left), n_dropped=dropped, degenerate="fewer than two methods")
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return TestResult(method=name, n=len(left), n_dropped=dropped, degenerate="all tied on one board")
    if variant == "weighted":
        tau = float(stats.weightedtau(left, right).statistic)
        return TestResult(method=name, n=len(left), n_dropped=dropped, estimate=tau, effect=tau)
    found = stats.kendalltau(left, right)
    tau = float(found.statistic)
    return TestResult(method=name, n=len(left), n_dropped=dropped, estimate=tau, effect=tau, statistic=tau, pvalue=float(found.pvalue))


def board_agreement(boards: ArrayLike) -> Floats:
    """Tau-b between every two boards (templates, metrics, tasks): [boards, methods] -> [boards, boards]; NaN where undefined.

    >>> board_agreement([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4], [0.1, 0.2, 0.3]])
    array([[ 1.,  1., -1.],
           [ 1.,  1., -1.],
           [-1., -1.,  1.]])
    """
    table = np.asarray(boards, dtype=np.float64)
    if np.isfinite(table).all() and table.shape[1] > 1:
        rounded = np.stack([round_ties(board) for board in table]) if len(table) else table
        first, second = np.triu_indices(table.shape[1], 1)
        # tau-b is the correlation of the signs of all pairs of methods, about 0
        signs = np.sign(rounded[:, first] - rounded[:, second])
        untied = (signs**2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = (signs @ signs.T) / np.sqrt(np.outer(untied, untied))
        np.fill_diagonal(result, 1.0)
        return np.asarray(result)
    result = np.eye(len(table))
    for i in range(len(table)):
        for j in range(i):
            tau = kendall_tau(table[i], table[j]).estimate
            result[i, j] = result[j, i] = np.nan if tau is None else tau
    return result


def split_half(
    examples: ArrayLike | Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
    clusters: Sequence[Sequence[str] | None] | None = None,
    n_splits: int = 200,
    level: float = 0.95,
) -> TestResult:
    """Mean tau-b between the boards of two random halves of the examples; the interval holds `level` of the splits.

    examples : [methods, examples], the same examples for all; or one such table per task, each halved, with boards of weighted means (`weights` : [tasks]).
    clusters : per task the cluster of each example, or None; a cluster stays in one half. An example that a method did not answer is dropped.
    It is a lower bound on the agreement of two test sets of full size.

    >>> scores = np.array([[1.0] * 8, [0.0] * 8])
    >>> split_half(scores, rng=np.random.default_rng(0)).estimate
    1.0
    """
    given = list(examples) if isinstance(examples, (list, tuple)) and np.ndim(examples[0]) == 2 else [examples]
    tables = [np.asarray(table, dtype=np.float64) for table in given]
    share = np.ones(len(tables)) if weights is None else np.asarray(weights, dtype=np.float64)
    kept = [np.asarray(np.isfinite(table).all(axis=0), dtype=bool) for table in tables]
    groups = [_groups(None if clusters is None else clusters[i], mask) for i, mask in enumerate(kept)]
    tables = [table[:, mask] for table, mask in zip(tables, kept, strict=True)]
    n, dropped = sum(table.shape[1] for table in tables), int(sum((~mask).sum() for mask in kept))
    name = "split-half Kendall tau-b"
    if len(tables[0]) < 2 or any(group.size == 0 or group.max() < 1 for group in groups):
        reason = "fewer than two methods" if len(tables[0]) < 2 else "fewer than two examples"
        return TestResult(method=name, n=n, n_dropped=dropped, generalise_over="examples", degenerate=reason)
    sums = [_by_group(table, group) for table, group in zip(tables, groups, strict=True)]
    taus = []
    for _ in range(n_splits):
        boards = sum(part * _halves(*found, rng) for part, found in zip(share, sums, strict=True))
        tau = kendall_tau(*boards).estimate
        if tau is not None:
            taus.append(tau)
    if not taus:
        return TestResult(method=name, n=n, n_dropped=dropped, generalise_over="examples", degenerate="all tied in every half")
    low, high = np.quantile(taus, [(1 - level) / 2, (1 + level) / 2])
    return TestResult(
        method=name, n=n, n_dropped=dropped, generalise_over="examples", estimate=float(np.mean(taus)),
        ci_low=float(low), ci_high=float(high), level=level, n_resamples=n_splits,
    )  # fmt: skip


def _groups(clusters: Sequence[str] | None, kept: NDArray[np.bool_]) -> NDArray[np.intp]:
    """[examples kept] the number of each one's cluster, from 0; an example of its own where there are none."""
    if clusters is None:
        return np.arange(int(kept.sum()))
    return np.unique(np.asarray(clusters, dtype=object)[kept].astype(str), return_inverse=True)[1]


def _by_group(table: Floats, groups: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Sums of each method's scores [methods, groups], and examples of each group."""
    size = np.bincount(groups).astype(np.float64)
    sums = np.stack([np.bincount(groups, weights=row, minlength=len(size)) for row in table]).astype(np.float64)
    return sums, size


def _halves(sums: Floats, size: Floats, rng: np.random.Generator) -> Floats:
    """[2, methods] means of two random halves of the groups."""
    order, half = rng.permutation(len(size)), len(size) // 2
    parts = order[:half], order[half : 2 * half]
    return np.stack([sums[:, part].sum(axis=1) / size[part].sum() for part in parts])


@dataclass(frozen=True, kw_only=True)
class LeaveOneTaskOut:
    """Places without each task in turn.

    places : [tasks left out, methods]; full : [methods], with all tasks
    max_change : [tasks], the largest move of any method; deciding : tasks without which the set of winners is another
    """

    full: Floats
    places: Floats
    max_change: Floats
    deciding: tuple[int, ...]
    degenerate: str | None = None


def leave_one_task_out(
    scores: ArrayLike, direction: Direction = "higher", *, statistic: Literal["mean", "mean_rank"] = "mean"
) -> LeaveOneTaskOut:
    """How far the board depends on single tasks. scores : [tasks, methods], methods with a missing cell are not placed.

    >>> leave_one_task_out([[0.9, 0.5], [0.6, 0.7], [0.6, 0.7]]).deciding
    (0,)
    """
    table = orient(scores, direction)
    if table.ndim != 2:
        raise ValueError(f"scores: [tasks, methods] expected, got shape {table.shape}")
    n_tasks, n_methods = table.shape
    cells = table if statistic == "mean" else -task_ranks(table[:, np.isfinite(table).all(axis=0)])
    if statistic == "mean_rank":
        ranked = np.full(table.shape, np.nan)
        ranked[:, np.isfinite(table).all(axis=0)] = cells
        cells = ranked
    if n_tasks < 2 or n_methods < 2:
        empty = np.full((n_tasks, n_methods), np.nan)
        reason = "fewer than two tasks" if n_tasks < 2 else "one method"
        return LeaveOneTaskOut(
            full=np.full(n_methods, np.nan), places=empty, max_change=np.full(n_tasks, np.nan), deciding=(), degenerate=reason
        )
    full = competition_ranks(cells.mean(axis=0))
    places = np.stack([competition_ranks(np.delete(cells, task, axis=0).mean(axis=0)) for task in range(n_tasks)])
    placed = np.isfinite(full)
    change = np.abs(places - full)[:, placed].max(axis=1) if placed.any() else np.full(n_tasks, np.nan)
    deciding = tuple(t for t in range(n_tasks) if not np.array_equal(places[t] == 1, full == 1))
    return LeaveOneTaskOut(
        full=full, places=places, max_change=change, deciding=deciding, degenerate=None if placed.any() else "missing cells"
    )
