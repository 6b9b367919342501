"""Score against tuning budget, and how far the dev score that chose a configuration overstates its test score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.results import Results

from ..statistics.budget import BudgetCurve as Expected
from ..statistics.budget import expected_best, selection_gap
from ..statistics.intervals import mean_interval
from ..statistics.result import Floats, TestResult
from .bounds import Bounds
from .findings import BudgetCurve, SelectionGap
from .grid import Grid
from .model import Options, Standing
from .scale import Scale

FEWEST = 3  # configurations below which no curve is drawn
TRIED = "tries of the tuning"
COMPARED = "configurations compared here"


def budget_curves(
    grid: Grid, results: Results, rows: Sequence[Standing], options: Options, bounds: Mapping[str, Bounds], most: int = 8
) -> tuple[BudgetCurve, ...]:
    """Expected best dev score of B configurations, by arm where its tuning was run here, by method where several of its configurations were."""
    found = [*_tuned_curves(grid, results, options, bounds), *_compared_curves(grid, options, bounds)]
    place = {row.arm: i for i, row in enumerate(rows)}
    methods = grid.trials.groupby("method")["arm"].agg(lambda arms: min((place[a] for a in arms if a in place), default=len(place)))
    order = {**{str(name): int(rank) for name, rank in methods.items()}, **place}
    return tuple(sorted(found, key=lambda curve: order.get(curve.arm, len(order)))[:most])


def _tuned_curves(grid: Grid, results: Results, options: Options, bounds: Mapping[str, Bounds]) -> list[BudgetCurve]:
    """From the tries of tuned cells: each column is tuned for itself, so the best of B is taken on each before columns are averaged."""
    found = []
    for arm, columns in sorted(_tries(grid, results).items()):
        if set(columns) != {c.key for c in grid.columns if (arm, c.key) in grid.tables}:
            continue
        tables = [(key, table) for key, choices in sorted(columns.items()) for table, _ in choices]
        width = min(len(table) for _, table in tables)
        if width < FEWEST:
            continue
        higher = grid.columns[0].higher_is_better
        seconds = float(np.mean([cost for choices in columns.values() for _, cost in choices])) * len(columns)
        values = np.stack([table[:width] for _, table in tables])
        expected = expected_best(values, "higher" if higher else "lower", costs=[seconds], level=options.level)
        found.append(_curve(arm, TRIED, expected, [bounds[key] for key in columns]))
    return found


def _tries(grid: Grid, results: Results) -> dict[str, dict[str, list[tuple[Floats, float]]]]:
    """arm -> column -> (dev scores in the order drawn, seconds of one), once for seeds that share their tries."""
    if not len(results.tries):
        return {}
    of = grid.trials.drop_duplicates("trial_id").set_index("trial_id")[["arm", "column"]]
    found: dict[str, dict[str, list[tuple[Floats, float]]]] = {}
    for trial, part in results.tries.groupby("trial_id", sort=True):
        if trial not in of.index:
            continue
        arm, column = (str(value) for value in of.loc[trial])
        table = pd.to_numeric(part["dev_score"], errors="coerce").to_numpy(dtype=np.float64)
        mine = found.setdefault(arm, {}).setdefault(column, [])
        if not any(np.array_equal(table, other, equal_nan=True) for other, _ in mine):
            mine.append((table, float(pd.to_numeric(part["seconds"], errors="coerce").mean())))
    return found


def _compared_curves(grid: Grid, options: Options, bounds: Mapping[str, Bounds]) -> list[BudgetCurve]:
    """From configurations of one method that were run as arms, the same one on all columns."""
    found = []
    for method, dev, _, seconds in _configurations(grid):
        if len(dev) < FEWEST:
            continue
        higher = grid.columns[0].higher_is_better
        expected = expected_best(dev.mean(axis=1), "higher" if higher else "lower", costs=seconds, level=options.level)
        found.append(_curve(method, COMPARED, expected, [bounds[str(column)] for column in dev.columns]))
    return found


def _configurations(grid: Grid) -> list[tuple[str, pd.DataFrame, pd.DataFrame, Floats]]:
    """(method, dev and test scores [configurations, columns], seconds [configurations]) where several configurations are complete."""
    ok = grid.trials[grid.trials["status"] == "ok"]
    found = []
    for method, part in ok.groupby("method", sort=True):
        name = part["arm"] if part["arm"].nunique() > 1 else part["config"].fillna(part["arm"])
        dev, test = (
            pd.to_numeric(part[kind], errors="coerce").groupby([name, part["column"]]).mean().unstack() for kind in ("dev_score", "score")
        )
        dev = dev.dropna(axis=0)
        if len(dev) < 2 or not len(dev.columns):
            continue
        seconds = pd.to_numeric(part["seconds_train"], errors="coerce").groupby(name).sum().reindex(dev.index).fillna(0.0)
        found.append((str(method), dev, test.reindex(dev.index), seconds.to_numpy(dtype=np.float64)))
    return found


def _curve(arm: str, source: str, found: Expected, within: Sequence[Bounds]) -> BudgetCurve:
    lowest, highest = (float(np.mean(ends)) for ends in zip(*within))
    return BudgetCurve(
        arm=arm, source=source, budgets=tuple(int(b) for b in found.budget), expected=tuple(float(v) for v in found.expected),
        low=_plain(np.maximum(found.low, lowest)), high=_plain(np.minimum(found.high, highest)), seconds=tuple(float(v) for v in found.cost),
        n_dropped=found.n_dropped,
    )  # fmt: skip


def _plain(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if not math.isfinite(v) else float(v) for v in values)


# --- what choosing by dev cost ----------------------------------------------------------------------------------------------------------


def selection_gaps(grid: Grid, results: Results, rows: Sequence[Standing], scale: Scale, options: Options) -> tuple[SelectionGap, ...]:
    """Dev minus test by arm, positive where dev flatters; and for a method with several arms that of the arm that dev would choose.

    Of a tuned arm the dev score is the one that its configuration was chosen by, else that of its own runs.
    """
    if scale.unit == "win rate":
        return ()
    best = {
        str(trial): (float(scores.max() if grid.columns[0].higher_is_better else scores.min()), len(scores))
        for trial, part in results.tries.groupby("trial_id")
        if len(scores := pd.to_numeric(part["dev_score"], errors="coerce").dropna())
    }
    found = [gap for row in rows if (gap := _gap_of(grid, row.arm, best, scale, options)) is not None]
    for method, dev, test, _ in _configurations(grid):
        if not np.isfinite(test.to_numpy()).all():
            continue
        sides = [table.to_numpy() @ np.array([_unit(grid, scale, str(column)) for column in table.columns]) for table in (dev, test)]
        chosen = selection_gap(sides[0], sides[1])
        position = int((chosen.details or {}).get("selected") or 0)
        found.append(
            SelectionGap(
                arm=method, tried=len(dev), chosen=str(dev.index[position]), n_columns=len(dev.columns), n_seeds=0,
                dev=float(dev.to_numpy()[position].mean()), test=float(test.to_numpy()[position].mean()),
                gap=TestResult(method=chosen.method, n=len(dev), estimate=chosen.estimate, degenerate="one choice has no interval"),
            )
        )  # fmt: skip
    return tuple(found)


def _unit(grid: Grid, scale: Scale, key: str) -> float:
    """Weight of a column in the mean, in the common unit and turned so that higher is better."""
    column = next(column for column in grid.columns if column.key == key)
    return scale.weights[key] * scale.factors[key] * (1.0 if column.higher_is_better else -1.0)


def _gap_of(grid: Grid, arm: str, best: Mapping[str, tuple[float, int]], scale: Scale, options: Options) -> SelectionGap | None:
    trials = grid.trials[(grid.trials["arm"] == arm) & (grid.trials["status"] == "ok")]
    own = pd.to_numeric(trials["dev_score"], errors="coerce")
    chosen_by = [best.get(str(trial), (dev, 0)) for trial, dev in zip(trials["trial_id"], own)]
    frame = pd.DataFrame(
        {"column": trials["column"], "seed": trials["seed"], "dev": [dev for dev, _ in chosen_by], "test": trials["score"].astype(float)}
    ).dropna()
    if not len(frame):
        return None
    dev, test = (frame.groupby(["column", "seed"])[kind].mean().unstack() for kind in ("dev", "test"))
    whole = dev.notna().all(axis=0)
    dev, test = dev.loc[:, whole], test.loc[:, whole]
    if not dev.shape[1]:
        return None
    units = np.array([_unit(grid, scale, str(column)) for column in dev.index])
    by_seed = (units[:, None] * (dev - test).to_numpy()).sum(axis=0) / abs(np.array([scale.weights[str(c)] for c in dev.index])).sum()
    gap = mean_interval(by_seed, level=options.level)
    return SelectionGap(
        arm=arm, tried=max((n for _, n in chosen_by), default=0), chosen=None, n_columns=len(dev), n_seeds=dev.shape[1],
        dev=float(dev.to_numpy().mean()), test=float(test.to_numpy().mean()), gap=gap,
    )  # fmt: skip
