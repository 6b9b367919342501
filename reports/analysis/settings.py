"""The settings of one task (backbones, shots) averaged before anything is tested, as templates are: they share the seeds' draws and the test examples,
so their errors are not independent, and a mean over twenty settings of one task is not known twenty times as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..statistics.intervals import mean_interval
from ..statistics.result import TestResult
from ..statistics.summaries import summary_interval
from .cells import precision
from .grid import Grid, Table
from .model import Column
from .scale import Scale

Summary = tuple[float, float | None, int | None, str | None]


def by_task(grid: Grid, scale: Scale) -> tuple[Grid, Scale]:
    """The grid with one column a task, and its scale; both as they are where no task has several settings.

    Where all settings have the same seeds, runs (and scores of examples) are averaged seed by seed, so that what settings share stays in the variance
    between seeds. Otherwise, and for published summaries, nothing says what they share: the standard error of the mean is then taken as the mean of the
    standard errors, which it cannot exceed. An arm that lacks a setting has no table for the task.
    """
    groups: dict[Any, list[Column]] = {}
    for column in grid.columns:
        groups.setdefault((column.task, column.metric, column.higher_is_better, column.floor, column.ceiling), []).append(column)
    if len(groups) == len(grid.columns):
        return grid, scale
    columns, tables, weights, factors = [], {}, {}, {}
    for members in groups.values():
        first = (
            members[0] if len(members) == 1 else replace(members[0], key=members[0].task, label=members[0].task, context={}, templates=())
        )
        columns.append(first)
        weights[first.key] = sum(scale.weights[member.key] for member in members)
        factors[first.key] = scale.factors[members[0].key]
        for arm in grid.arms:
            found = [table for member in members if (table := grid.tables.get((arm, member.key))) is not None]
            if len(found) == len(members):
                tables[arm, first.key] = averaged(found)
    whole = replace(
        grid, columns=tuple(columns), tables=tables,
        clusters={new.key: grid.clusters[members[0].key] for new, members in zip(columns, groups.values())},
        example_ids={new.key: grid.example_ids[members[0].key] for new, members in zip(columns, groups.values())},
    )  # fmt: skip
    return whole, replace(scale, weights=weights, factors=factors)


def averaged(tables: Sequence[Table]) -> Table:
    """One arm's settings of one task as one table."""
    first = tables[0]
    if len(tables) == 1:
        return first
    if any(table.summary is not None or table.seeds != first.seeds for table in tables):
        return _combined(tables)
    values = [table.values for table in tables if table.values is not None]
    whole = len(values) == len(tables) and len({table.shape for table in values}) == 1
    return replace(
        first,
        index=np.concatenate([table.index for table in tables]),
        runs=np.mean([table.runs for table in tables], axis=0),
        complete=np.mean([table.complete for table in tables], axis=0),
        statuses=tuple(next((status for status in found if status != "ok"), "ok") for found in zip(*(table.statuses for table in tables))),
        digests=tuple(_digest(found) for found in zip(*(table.digests for table in tables))),
        values=np.mean(values, axis=0) if whole else None,
        by_template={},
    )


def _digest(found: Sequence[str]) -> str:
    """Of one seed in all settings: pairs of arms need equal draws in every one of them."""
    return "" if "" in found else "*" if "*" in found else "+".join(found)


def _combined(tables: Sequence[Table]) -> Table:
    parts = [_summary(table) for table in tables]
    mean = float(np.mean([part[0] for part in parts]))
    covers = {part[3] for part in parts}
    known = [(sd, n) for _, sd, n, _ in parts if sd is not None and n is not None and n > 1]
    spread: float | None = None
    number: int | None = None
    if len(known) == len(parts):
        number = min(n for _, n in known)
        spread = float(np.mean([sd / math.sqrt(n) for sd, n in known])) * math.sqrt(number)
    summary: Summary = (mean, spread, number, covers.pop() if len(covers) == 1 else None)
    return replace(
        tables[0], index=np.concatenate([table.index for table in tables]), seeds=(0,), runs=np.array([mean]), complete=np.array([mean]),
        statuses=("ok",), digests=("",), values=None, by_template={}, summary=summary,
    )  # fmt: skip


def _summary(table: Table) -> Summary:
    if table.summary is not None:
        return table.summary
    return float(table.runs.mean()), float(table.runs.std(ddof=1)) if len(table.runs) > 1 else None, len(table.runs), "seeds"


def mean_of(table: Table, clusters: tuple[str, ...] | None, level: float) -> TestResult:
    """A table's mean over what is known of it: seeds and examples, else seeds, else what a summary covers."""
    if table.summary is not None:
        mean, sd, n, covers = table.summary
        return summary_interval(mean, sd, n, covers, level=level)
    found = precision(table.values, clusters, level)
    if found is not None and found.se is not None:
        return found
    return mean_interval(table.runs, level=level)
