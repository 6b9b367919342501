"""The leaderboard: place and tie group from tests, aggregates with intervals, chances of being best; and the pictures of ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..statistics.aggregate import aggregate_tasks, mean_rank, mean_win_rate, optimality_gap, performance_profile
from ..statistics.agreement import leave_one_task_out
from ..statistics.cliques import cliques, compact_letters
from ..statistics.friedman import critical_difference
from ..statistics.intervals import mean_interval
from ..statistics.missing import bounded_imputation
from ..statistics.rank_intervals import best_group, place_labels, simultaneous_rank_intervals
from ..statistics.ranks import RankDistribution, bootstrap_ranks, rank_distribution
from ..statistics.result import Floats, GeneraliseOver, TestResult, spawn_rng
from .across import Across, Means, told_apart
from .findings import CriticalDifference, Profile, RankHeat, TaskDependence
from .grid import FAILED, Grid
from .model import Cell, Options, Standing
from .scale import Scale, normalised, on_scale, weighted
from .settings import mean_of

THRESHOLDS = tuple(round(x, 3) for x in np.linspace(0, 1, 41))


def standings(
    grid: Grid,
    whole: Grid,
    means: Means,
    scales: tuple[Scale, Scale],
    cells: Sequence[Cell],
    across: Across,
    ranks: RankDistribution | None,
    stopping: Mapping[str, str],
    options: Options,
) -> tuple[Standing, ...]:
    """Rows in order of the aggregate, ranked arms first; the order inside a tie group carries no claim, which `place` says.

    whole : the grid with one column a task, scales : of columns and of tasks; stopping : arm -> why its seeds look as if they had been added after a look
    """
    scale = scales[0]
    kept = [means.arms[j] for j in means.complete]
    different, estimate = told_apart(across.pairs, kept, across.testing.ranking_over, options.alpha)
    low, high = simultaneous_rank_intervals(
        np.where((different > 0) & (estimate > 0), 1.0, -1.0), np.where((different > 0) & (estimate < 0), -1.0, 1.0)
    )
    labels = place_labels(low, high)
    total = means.by_task[:, list(means.complete)].mean(axis=0) if kept else np.zeros(0)
    letters = compact_letters(-total, different > 0) if len(kept) > 1 else ("",) * len(kept)
    leaders = set(best_group(total, different > 0)) if len(kept) > 1 else set(range(len(kept)))
    by_arm: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_arm.setdefault(cell.arm, {})[cell.column] = cell
    extra = _aggregates(grid, means, scale, kept)
    bounds = _bounds(grid, means)
    rows = []
    for arm in means.arms:
        position = kept.index(arm) if arm in kept else None
        score, over_tasks = _aggregate_score(whole, means, scales[1], arm, options.level)
        mine = extra.get(arm, {})
        supported = [c for c in by_arm.get(arm, {}).values() if c.n_planned > 0]
        row = Standing(
            arm=arm,
            ranked=position is not None,
            place="-" if position is None else labels[position],
            place_low=None if position is None or math.isnan(low[position]) else int(low[position]),
            place_high=None if position is None or math.isnan(high[position]) else int(high[position]),
            groups="" if position is None else letters[position],
            best_group=position in leaders and len(kept) > 1,
            score=score,
            over_tasks=over_tasks,
            normalised=mine.get("normalised"),
            iqm=_iqm(grid, means, arm, options) if position is not None and scale.constants_known else _no_iqm(scale),
            optimality_gap=mine.get("gap"),
            win_rate=mine.get("win rate"),
            mean_rank=mine.get("mean rank"),
            p_best=None,
            expected_place=None,
            bootstrap_low=None,
            bootstrap_high=None,
            coverage=(sum(c.mean is not None for c in supported), len(grid.columns) - _unsupported(grid, arm)),
            n_failed=sum(c.n_failed for c in supported),
            n_trials=sum(c.n_planned for c in supported),
            bound_low=None if position is not None else bounds[arm][0],
            bound_high=None if position is not None else bounds[arm][1],
            optional_stopping=stopping.get(arm),
        )
        rows.append(_with_chances(row, kept, ranks))
    order = {arm: value for arm, value in zip(kept, total)}
    sign = means.sign
    return tuple(sorted(rows, key=lambda r: (not r.ranked, -order.get(r.arm, 0.0), -sign * (r.score.estimate or 0.0), r.arm)))


def _aggregate_score(whole: Grid, means: Means, scale: Scale, arm: str, level: float) -> tuple[TestResult, TestResult]:
    """Mean on these columns, from one estimate a task; and mean over further tasks."""
    j = means.arms.index(arm)
    over = mean_interval(means.sign * means.by_task[:, j], level=level, generalise_over="tasks")
    if not np.isfinite(means.by_task[:, j]).all():
        over = TestResult(method=over.method, n=len(means.tasks), generalise_over="tasks", degenerate="a task is missing")
    what = f"mean {scale.unit} over these columns"
    if scale.unit == "win rate":
        value = over.estimate
        return TestResult(
            method=what, n=len(means.tasks), generalise_over="seeds", estimate=value, degenerate="a rate has no interval"
        ), over
    parts: list[TestResult | None] = []
    for column in whole.columns:
        table = whole.tables.get((arm, column.key))
        if table is None or not len(table.runs) or not np.isfinite(table.runs).all():
            parts.append(None)
            continue
        found, factor = mean_of(table, whole.clusters[column.key], level), scale.factors[column.key]
        mean = float(on_scale(table.runs.mean(keepdims=True)[None], (column,), scale)[0, 0])
        parts.append(replace(found, estimate=mean, se=None if found.se is None else found.se * factor, degenerate=None))
    return weighted(parts, [scale.weights[c.key] for c in whole.columns], level=level, what=what), over


def _aggregates(grid: Grid, means: Means, scale: Scale, kept: Sequence[str]) -> dict[str, dict[str, float]]:
    if not kept:
        return {}
    table = means.by_task[:, list(means.complete)]
    found: dict[str, dict[str, float]] = {arm: {} for arm in kept}
    rows = {"mean rank": mean_rank(table)}
    if len(kept) > 1:
        rows["win rate"] = mean_win_rate(table)
    if scale.constants_known:
        share = normalised(means.raw[:, list(means.complete)], grid.columns)
        weights = np.array([scale.weights[c.key] for c in grid.columns])
        rows["normalised"] = weights @ share
        rows["gap"] = optimality_gap(share.T[:, :, None])
    for name, values in rows.items():
        for arm, value in zip(kept, values):
            if math.isfinite(value):
                found[arm][name] = float(value)
    return found


def runs_table(grid: Grid, arms: Sequence[str]) -> Floats | None:
    """[columns, arms, seeds] in the columns' units, NaN where a seed was not run; None where a cell is a summary without runs."""
    tables = [[grid.tables.get((arm, column.key)) for arm in arms] for column in grid.columns]
    if any(table is None or table.summary is not None for row in tables for table in row):
        return None
    width = max((len(table.runs) for row in tables for table in row if table is not None), default=0)
    result = np.full((len(grid.columns), len(arms), width), np.nan)
    for i, row in enumerate(tables):
        for j, table in enumerate(row):
            assert table is not None
            result[i, j, : len(table.runs)] = table.runs
    return result


def _iqm(grid: Grid, means: Means, arm: str, options: Options) -> TestResult:
    table = runs_table(grid, [arm])
    if table is None:
        return TestResult(method="iqm", n=0, generalise_over="seeds", degenerate="summaries without runs")
    share = normalised(table[:, 0], grid.columns)
    share = share[:, np.isfinite(share).all(axis=0)] if not np.isfinite(share).all() else share
    rng = spawn_rng(options.root, "iqm", grid.family, arm)
    return aggregate_tasks(share, "iqm", rng=rng, level=options.level, n_resamples=1000, shared=_task_numbers(grid))


def _task_numbers(grid: Grid) -> list[int]:
    """The task of each column, as a number from 0: settings of one task share their seeds."""
    place = {task: i for i, task in enumerate(dict.fromkeys(column.task for column in grid.columns))}
    return [place[column.task] for column in grid.columns]


def _no_iqm(scale: Scale) -> TestResult:
    reason = "a column is missing" if scale.constants_known else "a task declares no floor and ceiling"
    return TestResult(method="iqm", n=0, generalise_over="seeds", degenerate=reason)


def _bounds(grid: Grid, means: Means) -> dict[str, tuple[float | None, float | None]]:
    worst = np.array([math.nan if c.floor is None else c.floor for c in grid.columns])
    best = np.array([math.nan if c.ceiling is None else c.ceiling for c in grid.columns])
    low, high = bounded_imputation(means.raw, worst, best)
    return {
        arm: (float(a), float(b)) if math.isfinite(a) and math.isfinite(b) else (None, None) for arm, a, b in zip(means.arms, low, high)
    }


def _unsupported(grid: Grid, arm: str) -> int:
    rows = grid.trials[grid.trials["arm"] == arm]
    keys = {column.key for column in grid.columns}
    only = rows.groupby("column")["status"].agg(lambda s: bool((s == "unsupported").all()))
    return int(sum(bool(value) and key in keys for key, value in only.items()))


def more_seeds(grid: Grid) -> dict[str, str]:
    """Arms that ran more seeds on a column than most arms did, where no plan says which were meant: seeds added after a look must be said."""
    marks: dict[str, set[str]] = {}
    for column in grid.columns:
        counts = {arm: len(grid.tables[arm, column.key].seeds) for arm in grid.arms if (arm, column.key) in grid.tables}
        if not counts:
            continue
        usual = int(np.median(list(counts.values())))
        for arm, n in counts.items():
            if n > usual:
                marks.setdefault(arm, set()).add(column.label)
    return {arm: f"more seeds than the other arms on {', '.join(sorted(found)[:3])}: was this planned?" for arm, found in marks.items()}


# --- ranks ----------------------------------------------------------------------------------------------------------------------------


def rank_chances(whole: Grid, means: Means, scale: Scale, options: Options) -> RankDistribution | None:
    """Places under new seeds, from one table a task: a bootstrap of runs, or for summaries normal draws of their means, over what their spread covers."""
    kept = [means.arms[j] for j in means.complete]
    if len(kept) < 2 or scale.unit == "win rate":
        return None
    rng = spawn_rng(options.root, "ranks", whole.family)
    weights = np.array([scale.weights[c.key] for c in whole.columns]) * len(whole.columns)
    factor = np.array([scale.factors[c.key] for c in whole.columns])
    signs = np.array([1.0 if c.higher_is_better else -1.0 for c in whole.columns])
    scaling = (weights * factor * signs)[:, None, None]
    table = runs_table(whole, kept)
    if table is not None:
        return bootstrap_ranks(table * scaling, rng=rng, n_resamples=min(options.n_resamples, 4000), level=options.level)
    draws, over = np.zeros((4000, len(kept))), set()
    for i, column in enumerate(whole.columns):
        for j, arm in enumerate(kept):
            found = mean_of(whole.tables[arm, column.key], whole.clusters[column.key], options.level)
            if found.estimate is None or found.se is None:
                return None
            draws[:, j] += scaling[i, 0, 0] * (found.estimate + found.se * rng.standard_normal(4000))
            over.add(found.generalise_over)
    covers: GeneraliseOver = "examples" if over == {"examples"} else "seeds"
    return rank_distribution(draws, method="normal draws of the published means", generalise_over=covers, level=options.level)


def _with_chances(row: Standing, kept: Sequence[str], ranks: RankDistribution | None) -> Standing:
    if ranks is None or row.arm not in kept:
        return row
    i = kept.index(row.arm)
    if not math.isfinite(ranks.p_best[i]):
        return row
    return replace(
        row,
        p_best=float(ranks.p_best[i]),
        expected_place=float(ranks.expected[i]),
        bootstrap_low=int(ranks.low[i]),
        bootstrap_high=int(ranks.high[i]),
    )


def rank_heat(means: Means, ranks: RankDistribution | None, rows: Sequence[Standing]) -> RankHeat | None:
    if ranks is None:
        return None
    kept = [means.arms[j] for j in means.complete]
    order = [row.arm for row in rows if row.ranked]
    table = tuple(tuple(round(float(p), 4) for p in ranks.probabilities[kept.index(arm)]) for arm in order)
    return RankHeat(
        arms=tuple(order),
        probabilities=table,
        method=ranks.method,
        generalise_over=ranks.generalise_over or "seeds",
        reason=ranks.degenerate,
    )


def task_dependence(means: Means) -> TaskDependence | None:
    """The board of means over tasks with each task left out in turn; None with fewer than three tasks."""
    kept = list(means.complete)
    if len(kept) < 2 or len(means.tasks) < 3:
        return None
    table = means.by_task[:, kept]
    found = leave_one_task_out(table)
    leaders = {i: means.arms[kept[int(np.nanargmin(found.places[i]))]] for i in found.deciding}
    moved = int(np.argmax(found.max_change))
    most = int(found.max_change[moved])
    return TaskDependence(
        n_tasks=len(means.tasks), deciding={means.tasks[i]: arm for i, arm in leaders.items()},
        most_moved=(means.tasks[moved], most) if most > 0 else None,
    )  # fmt: skip


def critical_difference_diagram(means: Means, across: Across, rows: Sequence[Standing], options: Options) -> CriticalDifference | None:
    """Mean ranks over tasks, and bars over groups that no test told apart (the same tests as the board's places)."""
    kept = [means.arms[j] for j in means.complete]
    if len(kept) < 2 or len(means.tasks) < 2:
        return None
    ranks = mean_rank(means.by_task[:, list(means.complete)])
    different, _ = told_apart(across.pairs, kept, across.testing.ranking_over, options.alpha)
    found = cliques(ranks, different > 0)
    return CriticalDifference(
        arms=tuple(kept[i] for i in found.order),
        mean_ranks=tuple(float(ranks[i]) for i in found.order),
        nemenyi=float(critical_difference(len(kept), len(means.tasks), options.alpha)),
        cliques=tuple(tuple(kept[i] for i in bar) for bar in found.bars),
        letters={kept[i]: found.letters[i] for i in found.order},
        procedure=across.testing.ranking_over,
        n_tasks=len(means.tasks),
    )


def profiles(grid: Grid, means: Means, scale: Scale, rows: Sequence[Standing], options: Options, most: int = 8) -> tuple[Profile, ...]:
    if not scale.constants_known:
        return ()
    found = []
    for row in [row for row in rows if row.ranked][:most]:
        table = runs_table(grid, [row.arm])
        if table is None:
            return ()
        share = normalised(table[:, 0], grid.columns)
        rng = spawn_rng(options.root, "profile", grid.family, row.arm)
        curve = performance_profile(share, THRESHOLDS, rng=rng, level=options.level, n_resamples=500, shared=_task_numbers(grid))
        if curve.degenerate == "missing cells":
            continue
        found.append(
            Profile(arm=row.arm, thresholds=THRESHOLDS, share=_plain(curve.run_profile), low=_plain(curve.low), high=_plain(curve.high))
        )
    return tuple(found)


def _plain(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if not math.isfinite(v) else float(v) for v in values)


def failures_of(grid: Grid) -> list[tuple[str, str, str, str, int, tuple[int, ...]]]:
    """(arm, column, status, reason, how many, which seeds), the most frequent first."""
    rows = grid.trials[grid.trials["status"].isin((*FAILED, "unsupported", "missing"))]
    found = []
    reason = rows["reason"].fillna("no reason recorded").astype(str)
    for (arm, column, status, why), group in rows.groupby(["arm", "column", "status", reason]):
        seeds = tuple(sorted({int(s) for s in group["seed"].dropna()}))
        found.append((str(arm), str(column), str(status), str(why), len(group), seeds))
    return sorted(found, key=lambda item: (-item[4], item[0], item[1]))
