"""Pairs of arms over all columns: over further tasks, and on these tasks over seeds and examples."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..statistics.adjust import adjust, partial_conjunction
from ..statistics.bayes import bayesian_signed_rank
from ..statistics.budget import unequal_budgets
from ..statistics.friedman import any_difference
from ..statistics.missing import skillings_mack
from ..statistics.multitask import compare_across_tasks
from ..statistics.pairwise import PairwiseComparison, number_of_comparisons, smallest_number_of_tasks
from ..statistics.result import Floats, TestResult, round_ties, spawn_rng
from ..statistics.t_tests import paired_t
from .grid import Grid
from .model import Arm, ColumnPair, Options, Pair, Testing, Versus
from .scale import Scale, on_scale, task_means, weighted

BAYES_DRAWS = 10_000


@dataclass(frozen=True)
class Means:
    """The grid as matrices. raw : [columns, arms] in the columns' units; scaled : on the common scale; by_task : [tasks, arms], higher is better.

    complete : positions of the arms that have a score on every column, the only ones that are ranked
    """

    arms: tuple[str, ...]
    tasks: tuple[str, ...]
    raw: Floats
    scaled: Floats
    by_task: Floats
    sign: float
    complete: tuple[int, ...]


def matrices(grid: Grid, scale: Scale) -> Means:
    raw = np.full((len(grid.columns), len(grid.arms)), np.nan)
    for i, column in enumerate(grid.columns):
        for j, arm in enumerate(grid.arms):
            table = grid.tables.get((arm, column.key))
            if table is not None and len(table.runs) and np.isfinite(table.runs).all():
                raw[i, j] = table.runs.mean()
    scaled = on_scale(raw, grid.columns, scale)
    sign = 1.0 if scale.unit != "score" or grid.columns[0].higher_is_better else -1.0
    tasks = tuple(dict.fromkeys(column.task for column in grid.columns))
    complete = tuple(int(j) for j in np.flatnonzero(np.isfinite(raw).all(axis=0)))
    # one arm alone has nothing to be ranked against, and a first place would mislead
    complete = complete if len(complete) > 1 or len(grid.arms) == 1 else ()
    return Means(grid.arms, tasks, raw, scaled, sign * task_means(scaled, grid.columns, tasks), sign, complete)


@dataclass(frozen=True)
class Across:
    """What was found over tasks. `different` : arms that a test told apart, by name, under what the ranking generalises over."""

    testing: Testing
    pairs: tuple[Pair, ...]
    versus: tuple[Versus, ...]
    comparison: PairwiseComparison


def compare(
    grid: Grid,
    means: Means,
    scale: Scale,
    arms: Sequence[Arm],
    column_tests: Sequence[ColumnPair],
    task_tests: tuple[Sequence[ColumnPair], Scale],
    baselines: Sequence[str],
    options: Options,
) -> Across:
    """Tests of all pairs of ranked arms over tasks, and of all pairs on these columns.

    column_tests : of every column; task_tests : of every task, its settings averaged first, with the scale of tasks
    """
    kept = list(means.complete)
    table = round_ties(means.by_task[:, kept])
    rng = spawn_rng(options.root, "across tasks", grid.family)
    comparison = compare_across_tasks(table, alpha=options.alpha, rng=rng, n_resamples=options.n_resamples)
    by_pair: dict[tuple[str, str], list[ColumnPair]] = {}
    for test in column_tests:
        by_pair.setdefault((test.a, test.b), []).append(test)
    of_tasks: dict[tuple[str, str], list[ColumnPair]] = {}
    for test in task_tests[0]:
        of_tasks.setdefault((test.a, test.b), []).append(test)
    here = {pair: _here(of_tasks.get(pair, ()), task_tests[1], options.level) for pair in by_pair}
    names = sorted(here)
    holm = adjust([_or_nan(here[pair].pvalue) for pair in names], "holm").adjusted
    adjusted = {pair: None if math.isnan(p) else float(p) for pair, p in zip(names, holm)}
    uneven = _uneven(arms)
    of = {means.arms[j]: i for i, j in enumerate(kept)}
    bayes_for = _worth_sampling(means, baselines, options.top)
    pairs = []
    for a, b in names:
        ranked = a in of and b in of
        raw = float(comparison.raw_pvalues[of[a], of[b]]) if ranked else math.nan
        over = float(comparison.pvalues[of[a], of[b]]) if ranked else math.nan
        tasks = _over_tasks(means, a, b, comparison.procedure, raw, options.level, ranked)
        pairs.append(_pair(a, b, means, tasks, None if math.isnan(over) else over, here[a, b], adjusted[a, b], by_pair[a, b], options))
    pairs = [
        replace(pair, unequal_tuning=(pair.a in uneven) != (pair.b in uneven), bayes=_bayes(means, pair, bayes_for, options))
        for pair in pairs
    ]
    testing = _testing(grid, means, table, comparison, pairs, scale, options)
    return Across(testing, tuple(pairs), _versus(grid, means, table, pairs, baselines, options), comparison)


def _here(found: Sequence[ColumnPair], scale: Scale, level: float) -> TestResult:
    """From one test a task; tasks on which an arm lacks a setting are dropped and counted."""
    what = "mean difference on these columns"
    if not found:
        reason = "on no task do both have every setting"
        return TestResult(method=what, n=0, generalise_over="seeds+examples", n_dropped=len(scale.weights), degenerate=reason)
    if scale.unit == "win rate":
        reason = "metrics differ and no floor and ceiling are declared: differences cannot be averaged"
        return TestResult(method=what, n=len(found), generalise_over="seeds+examples", degenerate=reason)
    weights = np.array([scale.weights[test.column] for test in found])
    parts = [_scaled(test.test, scale.factors[test.column]) for test in found]
    result = weighted(parts, weights / weights.sum(), level=level, what=what, test=True)
    dropped = len(scale.weights) - len(found)
    return replace(result, n_dropped=dropped) if dropped else result


def _scaled(test: TestResult, factor: float) -> TestResult:
    if factor == 1.0:
        return test

    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    return replace(test, estimate=times(test.estimate), se=times(test.se), ci_low=times(test.ci_low), ci_high=times(test.ci_high))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _over_tasks(means: Means, a: str, b: str, procedure: str, raw: float, level: float, ranked: bool) -> TestResult:
    """Mean difference over tasks with a t interval that is not adjusted; the p-value is the procedure's, before adjustment."""
    i, j = means.arms.index(a), means.arms.index(b)
    found = paired_t(means.by_task[:, i], means.by_task[:, j], generalise_over="tasks", level=level)
    method = f"{procedure}; interval: paired t over tasks, not adjusted"
    if not ranked:
        return replace(found, method="paired t over the tasks that both have", pvalue=None, note="partial coverage: not ranked, not tested")
    return replace(found, method=method, pvalue=None if math.isnan(raw) else float(raw), statistic=None)


def _pair(
    a: str, b: str, means: Means, tasks: TestResult, tasks_adjusted: float | None, here: TestResult, here_adjusted: float | None,
    found: Sequence[ColumnPair], options: Options,
) -> Pair:  # fmt: skip
    raw = [math.nan if test.test.pvalue is None else test.test.pvalue for test in found]
    signs = np.sign([test.test.estimate or 0.0 for test in found])
    holm = adjust(raw, "holm").adjusted
    significant = holm <= options.alpha
    one_sided = [(p / 2 if s > 0 else 1 - p / 2, p / 2 if s < 0 else 1 - p / 2) for p, s in zip(raw, signs) if not math.isnan(p)]
    at_least = tuple(partial_conjunction(side, alpha=options.alpha).count for side in zip(*one_sided)) if one_sided else (0, 0)
    return Pair(
        a=a,
        b=b,
        n_columns=len({test.column for test in found}),
        tasks=tasks,
        tasks_adjusted=tasks_adjusted,
        here=here,
        here_adjusted=here_adjusted,
        bayes=None,
        higher=(int((signs > 0).sum()), int((signs == 0).sum()), int((signs < 0).sum())),
        wins=int((significant & (signs > 0)).sum()),
        losses=int((significant & (signs < 0)).sum()),
        at_least=(at_least[0], at_least[1]),
        unequal_tuning=False,
    )


def _uneven(arms: Sequence[Arm]) -> set[str]:
    """Arms whose number of tuning trials is above the least of the family."""
    budgets = {arm.name: float(arm.cost.tuning_trials[1]) for arm in arms if arm.cost.tuning_trials is not None}
    return set(unequal_budgets({name: budget + 1 for name, budget in budgets.items()}))


def _worth_sampling(means: Means, baselines: Sequence[str], top: int) -> set[str]:
    order = np.argsort(-means.by_task.mean(axis=0), kind="stable")
    best = [means.arms[j] for j in order if j in means.complete][: min(top, 10)]
    return {*baselines, *best}


def _bayes(means: Means, pair: Pair, worth: set[str], options: Options) -> tuple[float, float, float] | None:
    if pair.a not in worth or pair.b not in worth or len(means.tasks) < 2:
        return None
    i, j = means.arms.index(pair.a), means.arms.index(pair.b)
    rng = spawn_rng(options.root, "bayes", pair.a, pair.b)
    found = bayesian_signed_rank(means.by_task[:, i], means.by_task[:, j], rope=options.relevant, rng=rng, n_draws=BAYES_DRAWS)
    if found.p_worse is None or found.p_equal is None or found.p_better is None:
        return None
    return found.p_worse, found.p_equal, found.p_better


def _versus(
    grid: Grid, means: Means, table: Floats, pairs: Sequence[Pair], baselines: Sequence[str], options: Options
) -> tuple[Versus, ...]:
    """k - 1 comparisons with each declared baseline."""
    kept = [means.arms[j] for j in means.complete]
    found: list[Versus] = []
    for baseline in baselines:
        mine = [pair for pair in pairs if baseline in (pair.a, pair.b)]
        others = [pair.b if pair.a == baseline else pair.a for pair in mine]
        here = adjust([_or_nan(pair.here.pvalue) for pair in mine], "holm").adjusted
        over: dict[str, float] = {}
        if baseline in kept and len(kept) > 1:
            rng = spawn_rng(options.root, "versus", grid.family, baseline)
            position = kept.index(baseline)
            result = compare_across_tasks(table, baseline=position, alpha=options.alpha, rng=rng, n_resamples=options.n_resamples)
            over = {arm: float(result.pvalues[position, i]) for i, arm in enumerate(kept)}
        for arm, p_here in zip(others, here):
            p_over = over.get(arm, math.nan)
            found.append(
                Versus(
                    baseline=baseline, arm=arm, n_comparisons=len(others),
                    tasks_adjusted=None if math.isnan(p_over) else p_over, here_adjusted=None if math.isnan(p_here) else float(p_here),
                )
            )  # fmt: skip
    return tuple(found)


def _testing(
    grid: Grid, means: Means, table: Floats, comparison: PairwiseComparison, pairs: Sequence[Pair], scale: Scale, options: Options
) -> Testing:
    n_tasks, k = table.shape
    can = comparison.can_reject and comparison.degenerate is None
    needed = smallest_number_of_tasks(k, alpha=options.alpha, procedure="max-t")
    tested_here = any(pair.here_adjusted is not None for pair in pairs)
    over_here = {pair.here.generalise_over for pair in pairs if pair.here_adjusted is not None}
    here = "examples" if over_here == {"examples"} else "seeds" if "seeds" in over_here else "seeds+examples"
    if k < 2:
        sentence = "Fewer than two arms have a score on every column, so nothing is ranked."
    elif can:
        sentence = f"{comparison.why}."
    else:
        sentence = (
            f"No test over tasks can reject at this size: with {n_tasks} task{'s' if n_tasks != 1 else ''} and {k} arms "
            f"({number_of_comparisons(k)} pairs) the smallest possible p-value is above {options.alpha:g}; {needed} tasks would do. "
            f"Places therefore speak of these tasks only."
        )
    omnibus = any_difference(table, rng=spawn_rng(options.root, "omnibus", grid.family)) if k > 1 and n_tasks > 1 else None
    return Testing(
        procedure=comparison.procedure,
        generalise_over="tasks",
        n_tasks=n_tasks,
        n_arms=k,
        n_pairs=comparison.n_comparisons if can or not tested_here else sum(pair.here_adjusted is not None for pair in pairs),
        can_reject=can,
        tasks_needed=needed,
        sentence=sentence[:1].upper() + sentence[1:],
        omnibus=omnibus,
        omnibus_with_gaps=_with_gaps(grid, means, options),
        ranking_over="tasks" if can or not tested_here else here,
    )


def _with_gaps(grid: Grid, means: Means, options: Options) -> TestResult | None:
    """Whether any of all arms differs, those with missing cells too, by permutations within tasks.

    Where the gaps are balanced the statistic is Durbin's; its F reference rejects too often with few tasks (docs/statistics-calibration.md).
    """
    if len(means.complete) == len(means.arms) or len(means.tasks) < 2:
        return None
    rng = spawn_rng(options.root, "omnibus with gaps", grid.family)
    return skillings_mack(round_ties(means.by_task), reference="permutation", rng=rng)


def told_apart(pairs: Sequence[Pair], arms: Sequence[str], over: str, alpha: float) -> tuple[Floats, Floats]:
    """(different, estimate), both [arms, arms]: whether a test told two arms apart under `over`, and row minus column."""
    index = {arm: i for i, arm in enumerate(arms)}
    different, estimate = np.zeros((len(arms), len(arms))), np.zeros((len(arms), len(arms)))
    for pair in pairs:
        if pair.a not in index or pair.b not in index:
            continue
        i, j = index[pair.a], index[pair.b]
        p = pair.tasks_adjusted if over == "tasks" else pair.here_adjusted
        value = (pair.tasks if over == "tasks" else pair.here).estimate or 0.0
        different[i, j] = different[j, i] = float(p is not None and p <= alpha)
        estimate[i, j], estimate[j, i] = value, -value
    return different, estimate


def pair_index(pairs: Sequence[Pair]) -> Mapping[tuple[str, str], Pair]:
    return {(pair.a, pair.b): pair for pair in pairs}


def all_names(pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(sorted(set(itertools.chain.from_iterable((pair.a, pair.b) for pair in pairs))))
