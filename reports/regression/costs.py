"""Costs compared as log ratios: a test, a factor and an absolute floor must all agree before a cost is called dearer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from ..statistics.intervals import mean_interval
from ..statistics.result import Floats
from .cells import Cell, Row, as_text

CostVerdict = Literal["dearer", "cheaper", "same", "unclear"]
P_THRESHOLD = 0.002
CI_LEVEL = 0.99


@dataclass(frozen=True)
class Cost:
    """A column of the results view. floor : absolute change under which nothing is said; counted : the same on every run of one machine."""

    column: str
    unit: str
    floor: float
    counted: bool


COSTS = (
    Cost("seconds_train", "s", 0.5, False),
    Cost("seconds_evaluate", "s", 0.5, False),
    Cost("peak_bytes", "B", 2.0**20, False),
    Cost("flops", "", 0.0, True),
    Cost("tokens", "", 0.0, True),
    Cost("forward_calls", "", 0.0, True),
    Cost("trainable_parameters", "", 0.0, True),
    Cost("stored_bytes", "B", 1024.0, True),
)


@dataclass(frozen=True)
class CostRule:
    """factor : ratio of geometric means from which a change counts; floor_scale multiplies every floor."""

    factor: float = 1.1
    floor_scale: float = 1.0


@dataclass(frozen=True)
class CostChange:
    """One cost of one cell: geometric means, their ratio (now / before) and how the difference was established."""

    label: str
    cost: str
    unit: str
    before: float
    now: float
    ratio: float
    verdict: CostVerdict
    pvalue: float | None
    how: str
    shared: bool

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def compare_costs(cells: Sequence[tuple[str, Cell]], rule: CostRule | None = None) -> tuple[CostChange, ...]:
    """Every cost of every joined cell with values on both sides."""
    rule = rule or CostRule()
    changes = []
    for label, cell in cells:
        if cell.baseline is None or cell.current is None or cell.mismatch is not None:
            continue
        sides = cell.baseline.ok, cell.current.ok
        shared = any(as_text(row["shared_cost"]) == "True" for side in sides for row in side)
        for cost in COSTS:
            before, now = (_positive(side, cost.column) for side in sides)
            if len(before) and len(now):
                changes.append(_change(label, cost, before, now, rule, shared and not cost.counted))
    return tuple(changes)


def _positive(rows: Sequence[Row], column: str) -> Floats:
    values = np.array([float(as_text(row[column]) or "nan") for row in rows])
    return np.asarray(values[np.isfinite(values) & (values > 0)])


def _change(label: str, cost: Cost, before: Floats, now: Floats, rule: CostRule, shared: bool) -> CostChange:
    old, new = math.exp(float(np.log(before).mean())), math.exp(float(np.log(now).mean()))
    different, pvalue, how = is_different(before, now, counted=cost.counted)
    ratio = new / old
    verdict: CostVerdict = "same"
    if max(ratio, 1 / ratio) > rule.factor and abs(new - old) > cost.floor * rule.floor_scale:
        verdict = "unclear" if different is None else "same" if not different else "dearer" if ratio > 1 else "cheaper"
    return CostChange(label, cost.column, cost.unit, old, new, ratio, verdict, pvalue, how, shared)


def is_different(before: Floats, now: Floats, *, counted: bool = False) -> tuple[bool | None, float | None, str]:
    """Mann-Whitney p < .002 where so small a p is possible, else disjoint 99 % t intervals of the mean log; None where neither can be had.

    The smallest two-sided p of n and m values is 2 / C(n + m, n): 7 runs a side can reach the threshold. A counted cost needs one value, since it does not vary.

    Source: asv's `compare`, as described in SPEC section 4.
    """
    if counted and min(len(before), len(now)) and np.ptp(before) == np.ptp(now) == 0:
        return bool(before[0] != now[0]), None, "counted"
    if 2 / math.comb(len(before) + len(now), len(now)) < P_THRESHOLD:
        p = float(stats.mannwhitneyu(np.log(before), np.log(now)).pvalue)
        return p < P_THRESHOLD, p, "Mann-Whitney"
    intervals = [mean_interval(np.log(side), level=CI_LEVEL).interval for side in (before, now)]
    (low_a, high_a), (low_b, high_b) = intervals
    if low_a is None or high_a is None or low_b is None or high_b is None:
        return None, None, "one run on a side"
    return high_a < low_b or high_b < low_a, None, "99 % intervals"
