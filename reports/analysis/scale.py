"""The common scale on which columns are averaged, and averages over columns with their standard error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..statistics.aggregate import normalise
from ..statistics.examples import group_mean
from ..statistics.intervals import t_interval
from ..statistics.ranks import task_ranks
from ..statistics.result import Floats, GeneraliseOver, TestResult
from ..statistics.t_tests import t_test
from .model import Column


@dataclass(frozen=True)
class Scale:
    """unit "score": the one metric that all columns share; "normalised": (score - floor) / (ceiling - floor); "win rate": share of rivals
    beaten on a column, where metrics differ and no floor and ceiling are declared.

    weights : by column, so that every task counts once however many settings it has; factors : from a column's unit to the common one
    """

    unit: str
    weights: Mapping[str, float]
    factors: Mapping[str, float]
    constants_known: bool


def choose_scale(columns: Sequence[Column]) -> Scale:
    per_task: dict[str, int] = {}
    for column in columns:
        per_task[column.task] = per_task.get(column.task, 0) + 1
    weights = {column.key: 1 / (len(per_task) * per_task[column.task]) for column in columns}
    known = all(c.floor is not None and c.ceiling is not None and math.isfinite(c.ceiling) and c.ceiling != c.floor for c in columns)
    if len({(column.metric, column.higher_is_better) for column in columns}) <= 1:
        return Scale("score", weights, dict.fromkeys(weights, 1.0), known)
    if known:
        return Scale("normalised", weights, {c.key: 1 / abs(c.ceiling - c.floor) for c in columns}, known)  # type: ignore[operator]
    return Scale("win rate", weights, dict.fromkeys(weights, math.nan), known)


def on_scale(means: Floats, columns: Sequence[Column], scale: Scale) -> Floats:
    """[columns, arms] of scores -> the common scale, still in the metric's direction where the unit is "score", else higher is better."""
    if scale.unit == "score":
        return means
    if scale.unit == "normalised":
        return normalised(means, columns)
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in columns])[:, None]
    ranks = task_ranks(means * signs)
    present = np.isfinite(ranks).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(present > 1, (present - ranks) / (present - 1), 0.5 * np.isfinite(ranks)))


def normalised(values: Floats, columns: Sequence[Column]) -> Floats:
    """(score - floor) / (ceiling - floor) along the first axis; NaN where a column declares no constants."""
    floor = np.array([math.nan if c.floor is None else c.floor for c in columns])
    ceiling = np.array([math.nan if c.ceiling is None else c.ceiling for c in columns])
    result = np.full(values.shape, np.nan)
    known = np.isfinite(floor) & np.isfinite(ceiling) & (floor != ceiling)
    if known.any():
        result[known] = normalise(values[known], floor[known], ceiling[known])
    return result


def task_means(table: Floats, columns: Sequence[Column], tasks: Sequence[str]) -> Floats:
    """[columns, arms] -> [tasks, arms]: the settings of a task averaged; missing where one is missing."""
    return np.stack([table[[i for i, c in enumerate(columns) if c.task == task]].mean(axis=0) for task in tasks])


def weighted(parts: Sequence[TestResult | None], weights: Sequence[float], *, level: float, what: str, test: bool = False) -> TestResult:
    """Weighted sum of independent estimates, these columns being all there is; t with Satterthwaite's df for the sum of their variances.

    SE = sqrt(sum w^2 SE^2), df = (sum w^2 SE^2)^2 / sum ((w^2 SE^2)^2 / df). A missing estimate makes the sum undefined, a missing SE its
    interval.
    """
    estimates = np.array([math.nan if p is None or p.estimate is None else p.estimate for p in parts])
    errors = np.array([math.nan if p is None or p.se is None else p.se for p in parts])
    total = np.asarray(weights, dtype=np.float64)
    over = generalisation(parts)
    found = group_mean(estimates * total * len(total), errors * total * len(total), level=level)
    if found.estimate is None or found.se is None:
        return TestResult(
            method=what, n=len(parts), generalise_over=over, estimate=found.estimate, level=level, degenerate=found.degenerate
        )
    if found.se == 0:
        pvalue = 1.0 if test and found.estimate == 0 else None
        return TestResult(
            method=what, n=len(parts), generalise_over=over, estimate=found.estimate, se=0.0, ci_low=found.estimate, ci_high=found.estimate,
            level=level, pvalue=pvalue, degenerate="identical scores" if pvalue else "zero variance",
        )  # fmt: skip
    squares = (total * errors) ** 2
    freedom = np.array([math.inf if p is None or p.df is None else p.df for p in parts])
    df = min(float(squares.sum() ** 2 / max(float((squares**2 / freedom).sum()), 1e-300)), 1e9)
    if test:
        return t_test(found.estimate, found.se, df, level=level, n=len(parts), method=what, generalise_over=over)
    return t_interval(found.estimate, found.se, df, n=len(parts), method=what, generalise_over=over, level=level)


def generalisation(parts: Sequence[TestResult | None]) -> GeneraliseOver:
    """What all parts generalise over: the least of them, so that the claim is not larger than its weakest part."""
    over = {part.generalise_over for part in parts if part is not None and part.estimate is not None}
    if over == {"seeds+examples"} or not over:
        return "seeds+examples"
    if "seeds" in over:
        return "seeds"
    return "examples"
