"""The numbers that the page's script shows on request: rounded once here to the decimals that are printed, never computed there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..analysis.model import Cell, ColumnPair, Pair
from ..statistics.result import TestResult
from .view import View


def page_data(views: Sequence[View]) -> dict[str, Any]:
    return {"version": 1, "families": [_family(view) for view in views]}


def _family(view: View) -> dict[str, Any]:
    family = view.family
    order = view.order
    keys = [column.key for column in family.columns]
    return {
        "name": family.name,
        "slug": view.slug,
        "alpha": view.alpha,
        "metric": family.metric,
        "metrics": list(family.metrics),
        "rankingOver": family.testing.ranking_over,
        "here": view.here,
        "baselines": [order.index(name) for name in family.baselines],
        "baseline": order.index(family.default_baseline),
        "places": {
            "score": family.places.score,
            "difference": family.places.difference,
            "columns": [family.places.columns[k] for k in keys],
        },
        "columns": [_column(view, key) for key in keys],
        "arms": [_arm(view, name) for name in order],
        "cells": [[_cell(view.cells.get((arm, key)), family.places.columns[key]) for key in keys] for arm in order],
        "other": _other_metrics(view, order, keys),
        "pairs": _pairs(view, order),
        "versus": _versus(view, order),
        "columnPairs": _column_pairs(view, order, keys),
    }


def _column(view: View, key: str) -> dict[str, Any]:
    column = view.columns[key]
    return {
        "label": column.label, "metric": column.metric, "higher": column.higher_is_better, "tags": list(column.tags),
        "examples": view.examples.get(key),
    }  # fmt: skip


def _arm(view: View, name: str) -> dict[str, Any]:
    arm = view.arms[name]
    return {"name": name, "tags": list(arm.tags), "parameters": arm.cost.trainable_parameters, "imported": arm.imported}


def _round(value: float | None, places: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, places)


def _cell(cell: Cell | None, places: int) -> list[Any] | None:
    """[mean, low, high, sd, ok, failed, deterministic, runs]"""
    if cell is None or cell.n_planned == 0:
        return None
    runs = [[run.seed, _round(run.score, places + 1), int(run.status != "ok")] for run in cell.runs]
    return [
        _round(cell.mean, places), _round(cell.interval.ci_low, places), _round(cell.interval.ci_high, places), _round(cell.sd, places + 1),
        cell.n_ok, cell.n_failed, int(cell.deterministic), runs,
    ]  # fmt: skip


def _other_metrics(view: View, order: Sequence[str], keys: Sequence[str]) -> dict[str, list[list[float | None]]]:
    """Means of metrics other than the primary one, and of the dev score: [arms][columns]."""
    found: dict[str, list[list[float | None]]] = {}
    for name in [metric for metric in view.family.metrics if metric != view.family.metric][:6]:
        found[name] = [[_metric(view.cells.get((arm, key)), name, view.family.places.columns[key]) for key in keys] for arm in order]
    if any(cell.dev_mean is not None for cell in view.family.cells):
        found["dev score"] = [
            [_round(c.dev_mean, view.family.places.columns[key]) if (c := view.cells.get((arm, key))) else None for key in keys]
            for arm in order
        ]
    return found


def _metric(cell: Cell | None, name: str, places: int) -> float | None:
    return None if cell is None or name not in cell.metrics else _round(cell.metrics[name][0], places)


def packed_pvalue(p: float | None, alpha: float) -> int | None:
    """Thousandths as they are printed (0: <.001, 1000: >.999), doubled, plus 1 where p <= alpha: the page shows and decides what Python did.

    >>> packed_pvalue(0.0004, 0.05), packed_pvalue(0.0504, 0.05), packed_pvalue(1.0, 0.05)
    (1, 100, 2000)
    """
    if p is None or math.isnan(p):
        return None
    thousandths = 0 if p < 0.001 else 1000 if p > 0.999 else round(float(f"{p:.3f}") * 1000)
    return 2 * thousandths + int(p <= alpha)


def packed_interval(test: TestResult | None, places: int) -> int | None:
    """How far both ends lie from the estimate, all three as they are printed, in units of the last decimal: 3 times the lower reach, plus how much
    the upper is longer, plus 1. Rounding makes the reaches of a symmetric interval differ by at most one unit; estimate and half-width, rounded apart,
    would give other ends than the tables print.

    >>> packed_interval(TestResult(method="t", n=3, estimate=0.1249, ci_low=0.1244, ci_high=0.1254), 3)
    3
    """
    if (
        test is None
        or test.estimate is None
        or test.ci_low is None
        or test.ci_high is None
        or not math.isfinite(test.ci_high - test.ci_low)
    ):
        return None
    low, middle, high = (round(float(f"{value:.{places}f}") * 10.0**places) for value in (test.ci_low, test.estimate, test.ci_high))
    longer = (high - middle) - (middle - low)
    if abs(longer) > 1:
        raise ValueError(f"an interval that is not symmetric: {test}")
    return 3 * (middle - low) + longer + 1


def _pairs(view: View, order: Sequence[str]) -> list[list[Any]]:
    """[i, j, here, ends, p, tasks, ends, p, effect, bayes or 0, wins, losses, unequal, columns], i above j on the board, i minus j."""
    rows = []
    places = view.family.places.difference
    for i, a in enumerate(order):
        for j in range(i + 1, len(order)):
            found = view.pair(a, order[j])
            if found is None:
                continue
            pair, sign = found
            rows.append([i, j, *_pair(pair, sign, places, view.alpha)])
    return rows


def _pair(pair: Pair, sign: float, places: int, alpha: float) -> list[Any]:
    def signed(value: float | None, digits: int = places) -> float | None:
        return None if value is None or not math.isfinite(value) else round(sign * value, digits)

    bayes: Any = 0
    if pair.bayes is not None:
        bayes = [round(p, 3) for p in (pair.bayes if sign > 0 else pair.bayes[::-1])]
    wins, losses = (pair.wins, pair.losses) if sign > 0 else (pair.losses, pair.wins)
    return [
        signed(pair.here.estimate), _turned(packed_interval(pair.here, places), sign), packed_pvalue(pair.here_adjusted, alpha),
        signed(pair.tasks.estimate), _turned(packed_interval(pair.tasks, places), sign), packed_pvalue(pair.tasks_adjusted, alpha),
        signed(pair.tasks.effect, 2), bayes, wins, losses, int(pair.unequal_tuning), pair.n_columns,
    ]  # fmt: skip


def _turned(packed: int | None, sign: float) -> int | None:
    """The interval of b minus a: its ends change places."""
    if packed is None or sign > 0:
        return packed
    low, longer = packed // 3, packed % 3 - 1
    return 3 * (low + longer) - longer + 1


def _versus(view: View, order: Sequence[str]) -> list[list[Any]]:
    """[baseline, arm, p here, p over tasks], adjusted over the k - 1 arms."""
    return [
        [
            order.index(item.baseline),
            order.index(item.arm),
            packed_pvalue(item.here_adjusted, view.alpha),
            packed_pvalue(item.tasks_adjusted, view.alpha),
        ]
        for item in view.family.versus
    ]


def _column_pairs(view: View, order: Sequence[str], keys: Sequence[str]) -> dict[str, Any]:
    """Per column for pairs with a baseline or an arm at the top: differences in units of the last decimal, packed intervals, packed p-values."""
    near = set(view.shown) if len(order) > view.analysis.options.top else set(order)
    index = [(i, j) for i in range(len(order)) for j in range(i + 1, len(order)) if order[i] in near or order[j] in near]
    flat = [[_column_pair(view, key, order[i], order[j]) for i, j in index] for key in keys]
    return {
        "index": [list(pair) for pair in index],
        "columns": [_packed(row, view.family.places.columns[key], view.alpha) for row, key in zip(flat, keys)],
    }


def _column_pair(view: View, key: str, a: str, b: str) -> tuple[ColumnPair, float] | None:
    if (found := view.column_pairs.get((key, a, b))) is not None:
        return found, 1.0
    if (found := view.column_pairs.get((key, b, a))) is not None:
        return found, -1.0
    return None


def _packed(row: Sequence[tuple[ColumnPair, float] | None], places: int, alpha: float) -> list[list[int | None]]:
    unit = 10**places
    differences: list[int | None] = []
    ends: list[int | None] = []
    pvalues: list[int | None] = []
    for item in row:
        test = item[0].test if item else None
        known = item is not None and test is not None and test.estimate is not None
        differences.append(round(item[1] * float(f"{test.estimate:.{places}f}") * unit) if known else None)  # type: ignore[index, union-attr, operator]
        ends.append(None if item is None else _turned(packed_interval(test, places), item[1]))
        pvalues.append(None if item is None else packed_pvalue(item[0].adjusted, alpha))
    return [differences, ends, pvalues]
