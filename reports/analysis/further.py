"""Other models of the same results, each of one pivot (the declared baseline, or the arm in front) against the arms at the top of the board.

They ask other questions than the tests that decide the leaderboard, and decide nothing there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from ..statistics.aso import FEW_RUNS, almost_stochastic_order
from ..statistics.bradley_terry import BradleyTerry, fit_bradley_terry, wins_from_scores
from ..statistics.hierarchical import TaskEffects, random_effects, task_effects
from ..statistics.result import Floats, TestResult, spawn_rng
from ..statistics.sequential import empirical_bernstein_sequence
from .findings import Dominance, Looked, Strength, TaskModel
from .grid import Grid, Table
from .model import Column, ColumnPair, Options
from .scale import Scale

MOST = 10
CLAIM = 0.2  # eps_min below which dominance is claimed, the stricter bound that its authors advise
ASO_RESAMPLES = 1000


# --- the difference over tasks --------------------------------------------------------------------------------------------------------


def task_models(
    grid: Grid, scale: Scale, tests: Sequence[ColumnPair], pivot: str, rivals: Sequence[str], options: Options
) -> tuple[TaskModel, ...]:
    """Rival minus pivot by task, each with the standard error of its own test; columns of one task are averaged first."""
    if scale.unit == "win rate":
        return ()
    of = {(test.column, test.a, test.b): test.test for test in tests}
    found = []
    for rival in rivals:
        rows = [(task, *_task_difference(grid, scale, of, task, rival, pivot)) for task in dict.fromkeys(c.task for c in grid.columns)]
        known = [(task, d, s) for task, d, s in rows if d is not None and s is not None]
        if len(known) < 2:
            continue
        d, s = np.array([row[1] for row in known]), np.array([row[2] for row in known])
        effects = task_effects(d, s, rope=options.relevant, level=options.level)
        found.append(
            TaskModel(
                a=rival, b=pivot, mu=_mu(effects, len(rows) - len(known)), pooled=random_effects(d, s, level=options.level),
                tasks=tuple(row[0] for row in known), raw=tuple(float(v) for v in d),
                shrunk=tuple(None if not math.isfinite(v) else float(v) for v in effects.task_means),
            )
        )  # fmt: skip
    return tuple(found)


def _task_difference(
    grid: Grid, scale: Scale, of: dict[tuple[str, str, str], TestResult], task: str, a: str, b: str
) -> tuple[float | None, float | None]:
    """Mean over the task's columns of a - b, and its standard error; None where one is missing."""
    estimates, squares = [], []
    columns = [column.key for column in grid.columns if column.task == task]
    for key in columns:
        test, sign = of.get((key, a, b)), 1.0
        if test is None:
            test, sign = of.get((key, b, a)), -1.0
        if test is None or test.estimate is None or test.se is None:
            return None, None
        estimates.append(sign * scale.factors[key] * test.estimate)
        squares.append((scale.factors[key] * test.se) ** 2)
    return float(np.mean(estimates)), math.sqrt(sum(squares)) / len(columns)


def _mu(found: TaskEffects, dropped: int) -> TestResult:
    return TestResult(
        method="hierarchical model", n=found.n, generalise_over="tasks", estimate=found.mu, se=found.mu_sd, ci_low=found.mu_low,
        ci_high=found.mu_high, level=found.level, n_dropped=dropped, note=found.note, degenerate=found.degenerate,
        details={
            "p_worse": found.p_worse, "p_equal": found.p_equal, "p_better": found.p_better, "tau": found.tau_median,
            "new_worse": found.new_p_worse, "new_equal": found.new_p_equal, "new_better": found.new_p_better,
        },
    )  # fmt: skip


# --- wins per example -----------------------------------------------------------------------------------------------------------------


def strengths(grid: Grid, pivot: str, ranked: Sequence[str], options: Options) -> tuple[Strength, ...]:
    """Bradley-Terry over all examples of all columns, each arm with the mean of its seeds. Speaks of these trained models."""
    if pivot not in ranked or len(ranked) < 2:
        return ()
    wins, n = np.zeros((len(ranked), len(ranked))), 0
    for column in grid.columns:
        tables = [grid.tables.get((arm, column.key)) for arm in ranked]
        means = [_by_example(table, column) for table in tables]
        present = [m for m in means if m is not None]
        if len(present) < len(means) or not column.decomposable:
            continue
        wins += wins_from_scores(np.stack(present, axis=1))
        n += len(present[0])
    if not n:
        return ()
    fit = fit_bradley_terry(wins)
    if fit.degenerate:
        return ()
    base = ranked.index(pivot)
    rows = [Strength(arm=arm, elo=float(fit.elo[i]), beats=_beats(fit, i, base, n, options.level)) for i, arm in enumerate(ranked)]
    return tuple(sorted(rows, key=lambda row: -row.elo))


def _by_example(table: Table | None, column: Column) -> Floats | None:
    """Mean over seeds, higher is better; None where an example is missing."""
    if table is None or table.values is None or not np.isfinite(table.values).all():
        return None
    return np.asarray(table.values.mean(axis=0) * (1.0 if column.higher_is_better else -1.0))


def _beats(fit: BradleyTerry, i: int, j: int, n: int, level: float) -> TestResult:
    """P(i beats j) with the interval of the difference in strength, carried through the logistic function."""
    if i == j:
        return TestResult(method="Bradley-Terry", n=n, generalise_over="examples", degenerate="the arm itself", note=fit.note)
    gap, error = float(fit.theta[i] - fit.theta[j]), fit.difference_error(i, j) or 0.0
    reach = float(stats.norm.isf((1 - level) / 2)) * error
    low, middle, high = (1 / (1 + math.exp(-value)) for value in (gap - reach, gap, gap + reach))
    return TestResult(
        method="Bradley-Terry", n=n, generalise_over="examples", estimate=middle, se=error * middle * (1 - middle), ci_low=low, ci_high=high,
        level=level, note=fit.note,
    )  # fmt: skip


# --- dominance of runs ----------------------------------------------------------------------------------------------------------------


def dominance(grid: Grid, pivot: str, rivals: Sequence[str], options: Options) -> tuple[Dominance, ...]:
    """Almost stochastic order per column, Bonferroni over all comparisons made here (rivals x columns x two directions)."""
    pairs: list[tuple[str, list[tuple[Column, Table, Table]]]] = []
    for rival in rivals:
        cells = [(c, grid.tables.get((rival, c.key)), grid.tables.get((pivot, c.key))) for c in grid.columns]
        usable = [(c, a, b) for c, a, b in cells if a is not None and b is not None and _enough(a) and _enough(b)]
        if usable:
            pairs.append((rival, usable))
    comparisons = 2 * sum(len(usable) for _, usable in pairs)
    found = []
    for rival, usable in pairs:
        bounds, against, few = [], 0, False
        for column, a, b in usable:
            sign = 1.0 if column.higher_is_better else -1.0
            ends = [
                almost_stochastic_order(
                    sign * one.runs, sign * two.runs, rng=spawn_rng(options.root, "aso", grid.family, column.key, rival, way),
                    level=options.level, comparisons=comparisons, threshold=CLAIM, n_resamples=ASO_RESAMPLES,
                )
                for way, one, two in (("there", a, b), ("back", b, a))
            ]  # fmt: skip
            bounds.append(1.0 if ends[0].effect is None else ends[0].effect)
            against += ends[1].effect is not None and ends[1].effect < CLAIM
            few = few or ends[0].note is not None
        found.append(
            Dominance(
                a=rival, b=pivot, labels=tuple(c.label for c, _, _ in usable), bounds=tuple(bounds),
                claims=sum(bound < CLAIM for bound in bounds), against=against, level=1 - (1 - options.level) / comparisons,
                note=f"fewer than {FEW_RUNS} runs on a side: not reliable" if few else None,
            )
        )  # fmt: skip
    return tuple(found)


def _enough(table: Table) -> bool:
    return table.summary is None and len(table.runs) >= 3 and bool(np.isfinite(table.runs).all())


# --- looking many times ---------------------------------------------------------------------------------------------------------------


def looks(grid: Grid, pivot: str, rivals: Sequence[str], options: Options) -> tuple[Looked, ...]:
    """The first rival on the board minus the pivot, example by example, where scores of examples lie in [0, 1]. Clusters count as one example."""
    if not rivals:
        return ()
    found = []
    for column in grid.columns:
        a, b = (_by_example(grid.tables.get((arm, column.key)), column) for arm in (rivals[0], pivot))
        if a is None or b is None or a.shape != b.shape or not column.decomposable:
            continue
        if not all(0 <= abs(float(end)) <= 1 for side in (a, b) for end in (side.min(), side.max())) or a.min() * a.max() < 0:
            continue
        d = _by_cluster(a - b, grid.clusters[column.key])
        sequence = empirical_bernstein_sequence(d, low=-1.0, high=1.0, alpha=1 - options.level)
        low, high = sequence.running()
        result = TestResult(
            method=sequence.method, n=len(d), generalise_over="examples", estimate=float(d.mean()), ci_low=float(low[-1]),
            ci_high=float(high[-1]), level=options.level,
        )  # fmt: skip
        found.append(Looked(column=column.key, label=column.label, a=rivals[0], b=pivot, found=result, first=sequence.excludes(0.0)))
    return tuple(found)


def _by_cluster(d: Floats, clusters: Sequence[str] | None) -> Floats:
    """Means of clusters in the order of their first example."""
    if clusters is None:
        return d
    place = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    at = np.array([place[name] for name in clusters])
    return np.asarray(np.bincount(at, weights=d) / np.bincount(at))
