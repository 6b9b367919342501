"""Intervals of means, cut at what the metric can be: a t interval does not know that no accuracy is above 1.

The true mean lies within the bounds, so the part that is cut off never held it: coverage is the same. Standard errors, tests and intervals of
differences are left as they are: a difference is read against 0 and against a margin, which no cut at its far end can change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from harness.errors import InputError

from ..statistics.result import TestResult
from .grid import Grid
from .model import Cell, Column, Standing
from .scale import Scale

Bounds = tuple[float, float]
ANY: Bounds = (-math.inf, math.inf)


def column_bounds(grid: Grid) -> dict[str, Bounds]:
    """By column: the bounds of its metric; none where a score or the ceiling lies outside them (percent under the name of a share)."""
    found = {}
    for column in grid.columns:
        low, high = metric_bounds(column.metric)
        seen = [score for (_, key), table in grid.tables.items() if key == column.key for score in table.runs.tolist()]
        seen += [] if column.ceiling is None else [column.ceiling]
        found[column.key] = (low, high) if all(low <= score <= high for score in seen if math.isfinite(score)) else ANY
    return found


@cache
def metric_bounds(name: str) -> Bounds:
    """What the metric declares; anything for a metric that nobody here knows."""
    from harness import metrics

    try:
        return metrics.get(name).bounds
    except InputError:
        return ANY


def bounded(result: TestResult, bounds: Bounds) -> TestResult:
    """The interval within the bounds, with the ends that were cut off in its note.

    >>> found = bounded(TestResult(method="t", n=3, estimate=0.9, ci_low=0.77, ci_high=1.02), (0.0, 1.0))
    >>> found.interval, found.note
    ((0.77, 1.0), 'interval cut at 1: no mean lies beyond (uncut: 0.77 to 1.02)')
    """
    low, high = result.interval
    if low is None or high is None or result.estimate is None or not bounds[0] <= result.estimate <= bounds[1]:
        return result
    cut = [bound for end, bound, beyond in ((low, bounds[0], low < bounds[0]), (high, bounds[1], high > bounds[1])) if beyond]
    if not cut:
        return result
    where = " and ".join(f"{bound:g}" for bound in cut)
    note = f"interval cut at {where}: no mean lies beyond (uncut: {low:.4g} to {high:.4g})"
    return replace(result, ci_low=max(low, bounds[0]), ci_high=min(high, bounds[1]), note=f"{result.note}; {note}" if result.note else note)


def bounded_cell(cell: Cell, bounds: Bounds) -> Cell:
    precision = None if cell.precision is None else bounded(cell.precision, bounds)
    return replace(cell, interval=bounded(cell.interval, bounds), precision=precision)


def bounded_standing(row: Standing, bounds: Bounds) -> Standing:
    return replace(row, score=bounded(row.score, bounds), over_tasks=bounded(row.over_tasks, bounds))


def normalised_bounds(columns: Sequence[Column], bounds: Mapping[str, Bounds]) -> Bounds:
    """What a normalised run can be on any of these columns, and so their interquartile mean."""
    ends = [_normalised(column, bounds[column.key]) for column in columns]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _normalised(column: Column, ends: Bounds) -> Bounds:
    if column.floor is None or column.ceiling is None or column.floor == column.ceiling:
        return ANY
    low, high = sorted((end - column.floor) / (column.ceiling - column.floor) for end in ends)
    return low, high


def mean_bounds(columns: Sequence[Column], scale: Scale, bounds: Mapping[str, Bounds]) -> Bounds:
    """What the weighted mean over columns can be, in the unit of the common scale."""
    if scale.unit == "win rate":
        return 0.0, 1.0
    total = [0.0, 0.0]
    for column in columns:
        ends = bounds[column.key]
        if scale.unit == "normalised":
            ends = _normalised(column, ends)
        total = [so_far + scale.weights[column.key] * end for so_far, end in zip(total, ends)]
    # what float64 leaves of weights that sum to 1
    return round(total[0], 12), round(total[1], 12)
