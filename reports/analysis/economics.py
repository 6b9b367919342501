"""Learning curves, and score against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.results import Results

from .findings import CostPoint, Curve
from .grid import Grid
from .model import Arm, Standing

COSTS = {
    "trainable_parameters": "trainable parameters",
    "stored_bytes": "stored bytes",
    "seconds_train": "seconds of training",
    "peak_bytes": "peak memory",
    "flops": "FLOPs",
    "tokens": "tokens",
    "tuning_trials": "tuning trials",
}
MOST_POINTS = 40


def learning_curves(grid: Grid, results: Results, rows: Sequence[Standing], baselines: Sequence[str]) -> tuple[Curve, ...]:
    """Mean dev score by step, over seeds and templates, for the baselines and the six arms at the top."""
    if not len(results.curves):
        return ()
    wanted = list(dict.fromkeys([*baselines, *(row.arm for row in rows if row.ranked)]))[:6]
    rows_of = grid.trials[grid.trials["arm"].isin(wanted)][["trial_id", "arm", "column", "seed"]]
    joined = results.curves.merge(rows_of, on="trial_id")
    joined["dev_score"] = pd.to_numeric(joined["dev_score"], errors="coerce")
    joined = joined[np.isfinite(joined["dev_score"])]
    labels = {column.key: column.label for column in grid.columns}
    curves = []
    for (key, arm), part in joined.groupby(["column", "arm"], sort=True):
        if key not in labels:
            continue
        # a step that only some seeds reached would bend the mean
        n_trials = part["trial_id"].nunique()
        steps = part.groupby("step").agg(score=("dev_score", "mean"), n=("trial_id", "nunique"))
        steps = steps[steps["n"] == n_trials]
        if len(steps) < 2:
            continue
        chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_POINTS)).round().astype(int))
        curves.append(
            Curve(
                column=str(key), label=labels[key], arm=str(arm), steps=tuple(float(s) for s in steps.index[chosen]),
                dev_score=tuple(float(v) for v in steps["score"].to_numpy()[chosen]), n_seeds=int(part["seed"].nunique()),
            )
        )  # fmt: skip
    return tuple(curves)


def cost_points(arms: Sequence[Arm], rows: Sequence[Standing], higher_is_better: bool) -> tuple[CostPoint, ...]:
    """Aggregate score and every cost that is known; an arm is on a cost's frontier if none is as good and cheaper, or better and as cheap."""
    by_name = {arm.name: arm for arm in arms}
    found = []
    for row in rows:
        if row.score.estimate is None or not row.ranked:
            continue
        cost = by_name[row.arm].cost
        values = {
            "trainable_parameters": cost.trainable_parameters,
            "stored_bytes": cost.stored_bytes,
            "seconds_train": cost.seconds_train,
            "peak_bytes": cost.peak_bytes,
            "flops": cost.flops,
            "tokens": cost.tokens,
            "tuning_trials": cost.tuning_trials[1] if cost.tuning_trials else None,
        }
        known = {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
        found.append(
            CostPoint(arm=row.arm, score=row.score.estimate, low=row.score.ci_low, high=row.score.ci_high, costs=known, frontier=())
        )
    sign = 1.0 if higher_is_better else -1.0

    def dominated(point: CostPoint, name: str) -> bool:
        mine, cost = sign * point.score, point.costs[name]
        return any(
            sign * other.score >= mine and other.costs[name] <= cost and (sign * other.score > mine or other.costs[name] < cost)
            for other in found
            if name in other.costs
        )

    return tuple(
        CostPoint(
            arm=p.arm, score=p.score, low=p.low, high=p.high, costs=p.costs, frontier=tuple(n for n in p.costs if not dominated(p, n))
        )
        for p in found
    )
