"""Whether other boards of the same arms tell the same story: halves of the examples, the dev score, the other metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..statistics.agreement import kendall_tau, split_half
from ..statistics.result import TestResult, spawn_rng
from .across import Means
from .findings import Agreement
from .grid import Grid
from .model import Cell, Options
from .scale import Scale

MOST_METRICS = 6


def agreements(grid: Grid, means: Means, scale: Scale, cells: Sequence[Cell], options: Options) -> tuple[Agreement, ...]:
    """Kendall's tau between the board of ranked arms and others of the same arms; none with fewer than three arms, which have one pair."""
    kept = [means.arms[j] for j in means.complete]
    if len(kept) < 3 or scale.unit == "win rate":
        return ()
    of = {(cell.arm, cell.column): cell for cell in cells}
    main = means.by_task[:, list(means.complete)].mean(axis=0)
    found = [_halves(grid, scale, kept, options)]
    # the board counts a failed run with the floor; of the other scores there is none
    lost = "of finished runs: failed ones are left out" if any(cell.n_failed for cell in cells if cell.arm in kept) else None
    metrics = sorted(set.intersection(*(set(of[arm, column.key].metrics) for arm in kept for column in grid.columns)))
    others: list[tuple[str, Callable[[Cell], float | None], bool]] = [("dev score", lambda cell: cell.dev_mean, True)]
    primary = {column.metric for column in grid.columns}
    others += [(name, _metric(name), _higher(name)) for name in metrics if name not in primary][:MOST_METRICS]
    for name, value, same_direction in others:
        table = [[value(of[arm, column.key]) for column in grid.columns] for arm in kept]
        if any(v is None for row in table for v in row):
            continue
        signs = [
            scale.weights[c.key] * (1.0 if (c.higher_is_better if name == "dev score" else same_direction) else -1.0) for c in grid.columns
        ]
        factors = [scale.factors[c.key] if name == "dev score" else 1.0 for c in grid.columns]
        board = np.array(table, dtype=np.float64) @ (np.array(signs) * np.array(factors))
        found.append(
            Agreement(
                name=name, tau=kendall_tau(main, board), weighted=kendall_tau(main, board, variant="weighted").estimate, n_arms=len(kept),
                note=lost,
            )
        )  # fmt: skip
    return tuple(item for item in found if item is not None)


def _halves(grid: Grid, scale: Scale, kept: Sequence[str], options: Options) -> Agreement | None:
    """Every column's examples are halved (clusters whole), means over seeds; columns without complete examples are left out and counted."""
    tables, weights, clusters = [], [], []
    for column in grid.columns:
        found = [grid.tables[arm, column.key].values for arm in kept]
        values = [table.mean(axis=0) for table in found if table is not None]
        if len(values) < len(kept) or len({len(row) for row in values}) > 1:
            continue
        tables.append(np.stack(values))
        weights.append(scale.weights[column.key] * scale.factors[column.key] * (1.0 if column.higher_is_better else -1.0))
        clusters.append(grid.clusters[column.key])
    if not tables:
        return None
    rng = spawn_rng(options.root, "halves", grid.family)
    tau: TestResult = split_half(tables, rng=rng, weights=weights, clusters=clusters, level=options.level)
    left = len(grid.columns) - len(tables)
    note = f"{left} columns without examples are left out" if left else None
    return Agreement(name="two halves of the examples", tau=tau, weighted=None, n_arms=len(kept), note=note)


def _metric(name: str) -> Callable[[Cell], float | None]:
    def value(cell: Cell) -> float | None:
        return cell.metrics[name][0] if name in cell.metrics else None

    return value


def _higher(name: str) -> bool:
    from harness import metrics
    from harness.errors import InputError

    try:
        return bool(metrics.get(name).higher_is_better)
    except InputError:
        return True
