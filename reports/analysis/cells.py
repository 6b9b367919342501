"""What is said about one arm on one column, and about an arm's cost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..statistics.components import variance_components
from ..statistics.examples import clustered_mean
from ..statistics.intervals import cell_mean, failure_rate, mean_interval, robust_line, t_interval
from ..statistics.result import Floats, TestResult
from ..statistics.summaries import summary_interval
from .grid import FAILED, Grid, Table, common_tags
from .model import Arm, Cell, Column, Cost, Run


def describe_cells(grid: Grid, level: float) -> tuple[Cell, ...]:
    """Every planned cell, in order of arm and column."""
    cells = []
    metrics, dev = _secondary(grid)
    statuses = grid.trials["status"].to_numpy()
    by_key = {column.key: column for column in grid.columns}
    for (arm, key), table in grid.tables.items():
        cells.append(_cell(grid, arm, by_key[key], table, statuses, level, metrics.get((arm, key), {}), dev.get((arm, key))))
    return tuple(cells)


def _cell(
    grid: Grid, arm: str, column: Column, table: Table, statuses: Any, level: float, metrics: Mapping[str, Any], dev_mean: float | None
) -> Cell:
    status = statuses[table.index]
    imported = bool(grid.trials["imported"].iloc[table.index[0]]) if len(table.index) else False
    if table.summary:
        return _summary_cell(arm, column, table, level, metrics, dev_mean, imported)
    examples = table.values[0] if table.values is not None and len(table.seeds) == 1 else None
    same = table.values is not None and len(table.seeds) > 1 and bool((np.ptp(table.values, axis=0) == 0).all())
    summary = cell_mean(table.complete, level=level, floor=None, deterministic=same, examples=examples)
    treated = mean_interval(table.runs, level=level) if len(table.seeds) > 1 else summary.interval
    robust = robust_line(table.complete, chance=column.floor, level=level, higher_is_better=column.higher_is_better)
    runs_finite = table.runs[np.isfinite(table.runs)]
    sd = float(runs_finite.std(ddof=1)) if len(runs_finite) > 1 else None
    failed = int(np.isin(status, FAILED).sum())
    mean = float(runs_finite.mean()) if len(runs_finite) and len(runs_finite) == len(table.runs) else None
    return Cell(
        arm=arm,
        column=column.key,
        mean=mean,
        complete_case=summary.mean,
        sd=0.0 if same else sd,
        interval=treated,
        precision=precision(table.values, grid.clusters[column.key], level),
        n_planned=int((status != "unsupported").sum()),
        n_ok=int((status == "ok").sum()),
        n_failed=failed,
        n_missing=int((status == "missing").sum()),
        n_unsupported=int((status == "unsupported").sum()),
        failure_rate=failure_rate(np.isin(status[np.isin(status, ("ok", *FAILED))], FAILED), level=level),
        deterministic=same,
        median=robust.median,
        minimum=robust.minimum,
        maximum=robust.maximum,
        bimodal=robust.reason if robust.bimodal else None,
        runs=tuple(Run(seed=s, score=_none(v), status=t) for s, v, t in zip(table.seeds, table.runs, table.statuses)),
        dev_mean=dev_mean,
        metrics=metrics,
        imported=imported,
        failures_at_floor=bool(failed and column.floor is not None),
    )


def _summary_cell(
    arm: str, column: Column, table: Table, level: float, metrics: Mapping[str, Any], dev_mean: float | None, imported: bool
) -> Cell:
    assert table.summary is not None
    mean, sd, n, covers = table.summary
    return Cell(
        arm=arm, column=column.key, mean=mean, complete_case=mean, sd=sd, interval=summary_interval(mean, sd, n, covers, level=level),
        precision=None, n_planned=n or 1, n_ok=n or 1, n_failed=0, n_missing=0, n_unsupported=0,
        failure_rate=TestResult(method="failure rate", n=n or 0, generalise_over="seeds", degenerate="a summary does not say"),
        deterministic=False, median=None, minimum=None, maximum=None, bimodal=None, runs=(), dev_mean=dev_mean, metrics=metrics,
        imported=imported, failures_at_floor=False,
    )  # fmt: skip


def precision(values: Floats | None, clusters: tuple[str, ...] | None, level: float) -> TestResult | None:
    """Interval of the cell's mean over new seeds and new examples; over examples alone where there is one seed."""
    if values is None:
        return None
    present = values[np.isfinite(values).any(axis=1)]
    if len(present) == 0:
        return None
    if len(present) == 1:
        row = present[0]
        return clustered_mean(row, clusters, level=level) if clusters else mean_interval(row, level=level, generalise_over="examples")
    found = variance_components(present)
    method = "crossed seeds x examples"
    if found.se is None or found.estimate is None:
        return TestResult(method=method, n=len(present), generalise_over="seeds+examples", degenerate=found.degenerate or "undefined")
    if found.se == 0 or found.df is None:
        return TestResult(
            method=method, n=len(present), generalise_over="seeds+examples", estimate=found.estimate, se=0.0, level=level,
            ci_low=found.estimate, ci_high=found.estimate, degenerate="zero variance",
        )  # fmt: skip
    return t_interval(found.estimate, found.se, found.df, n=len(present), method=method, generalise_over="seeds+examples", level=level)


def _secondary(grid: Grid) -> tuple[dict[tuple[str, str], dict[str, Any]], dict[tuple[str, str], float]]:
    """Means of the other metrics (and of the dev score) over finished trials: (mean, sd, n) by cell and metric."""
    ok = grid.trials[grid.trials["status"] == "ok"]
    gathered: dict[tuple[str, str], dict[str, list[float]]] = {}
    for arm, column, text in zip(ok["arm"], ok["column"], ok["scores"]):
        if not isinstance(text, str):
            continue
        for name, value in json.loads(text).items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                gathered.setdefault((arm, column), {}).setdefault(name, []).append(float(value))
    metrics = {
        cell: {name: (float(np.mean(v)), float(np.std(v, ddof=1)) if len(v) > 1 else None, len(v)) for name, v in sorted(found.items())}
        for cell, found in gathered.items()
    }
    scored = ok.assign(dev=pd.to_numeric(ok["dev_score"], errors="coerce")).dropna(subset=["dev"])
    dev = scored.groupby(["arm", "column"], as_index=False)["dev"].mean()
    return metrics, {(str(arm), str(column)): float(value) for arm, column, value in zip(dev["arm"], dev["column"], dev["dev"])}


def describe_arms(grid: Grid) -> tuple[Arm, ...]:
    arms = []
    for name, rows in grid.trials.groupby("arm", sort=True):
        arms.append(
            Arm(
                name=str(name),
                method=_first(rows["method"]) or str(name),
                configs=tuple(sorted(rows["config"].dropna().astype(str).unique())),
                backbones=tuple(sorted(rows["backbone"].dropna().astype(str).unique())),
                tags=common_tags(rows),
                imported=bool(rows["imported"].fillna(False).astype(bool).any()),
                sources=tuple(sorted(rows["source"].dropna().astype(str).unique())),
                cost=_cost(rows),
                n_trials=int((rows["status"] != "unsupported").sum()),
                n_seeds=int(rows["seed"].nunique()),
            )
        )
    return tuple(arms)


def _cost(rows: pd.DataFrame) -> Cost:
    ok = rows[rows["status"] == "ok"]

    def of(name: str, how: Callable[[Floats], Any]) -> float | None:
        values = pd.to_numeric(ok[name], errors="coerce").dropna().to_numpy(dtype=np.float64)
        return float(how(values)) if len(values) else None

    def whole(name: str) -> int | None:
        value = of(name, np.max)
        return None if value is None else int(value)

    tries = pd.to_numeric(rows["tuning_trials"], errors="coerce").dropna()
    parts = [of(name, np.median) for name in ("seconds_setup", "seconds_train", "seconds_evaluate")]
    known = [part for part in parts if part is not None]
    return Cost(
        tuning_trials=(int(tries.min()), int(tries.max())) if len(tries) else None,
        trainable_parameters=whole("trainable_parameters"),
        stored_bytes=whole("stored_bytes"),
        seconds_train=parts[1],
        seconds_total=sum(known) if known else None,
        peak_bytes=whole("peak_bytes"),
        tokens=of("tokens", np.median),
        forward_calls=of("forward_calls", np.median),
        flops=of("flops", np.median),
        shared=bool(ok["shared_cost"].fillna(False).astype(bool).any()),
    )


def _first(values: pd.Series) -> str | None:
    known = values.dropna()
    return str(known.iloc[0]) if len(known) else None


def _none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
