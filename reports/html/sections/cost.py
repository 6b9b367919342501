"""Learning curves, score against cost, and score against tuning budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ...analysis import digits
from ...analysis.economics import COSTS
from ...analysis.findings import CostPoint, Curve
from ...analysis.tuning import TRIED
from ...svg import DASHES, Drawing, Scale, colour, padded
from ..view import View, raw, render

FORMATS: dict[str, Callable[[float | None], str]] = {
    "stored_bytes": digits.size,
    "peak_bytes": digits.size,
    "seconds_train": digits.seconds,
}
MOST_PICTURES = 12
MOST_GAPS = 30


def curves(view: View) -> str | None:
    found = view.family.curves
    if not found:
        return None
    by_column: dict[str, list[Curve]] = defaultdict(list)
    for curve in found:
        by_column[curve.column].append(curve)
    arms = [arm for arm in view.order if any(curve.arm == arm for curve in found)]
    pictures = [raw(_curve_picture(view, index, items, arms)) for index, items in enumerate(by_column.values()) if index < MOST_PICTURES]
    rows = [
        {
            "label": c.label,
            "arm": c.arm,
            "first": c.dev_score[0],
            "half": c.dev_score[len(c.steps) // 2],
            "last": c.dev_score[-1],
            "steps": c.steps[-1],
            "n": c.n_seeds,
        }
        for c in found
    ]
    key = [(arm, raw(sample(i))) for i, arm in enumerate(arms)]
    return render("curves.html.j2", pictures=pictures, key=key, rows=rows, left_out=max(len(by_column) - MOST_PICTURES, 0))


def sample(index: int) -> str:
    style = f"stroke:{colour(index)};stroke-dasharray:{DASHES[index % len(DASHES)]}"
    return f'<svg class="inline" width="30" height="10" aria-hidden="true" focusable="false"><line x1="1" y1="5" x2="29" y2="5" class="curve" style="{style}"/></svg>'


def _curve_picture(view: View, index: int, items: list[Curve], arms: list[str]) -> str:
    width, height = 380.0, 230.0
    values = [v for curve in items for v in curve.dev_score if v is not None]
    steps = [s for curve in items for s in curve.steps]
    drawing = Drawing(width, height)
    x, y = Scale(min(steps), max(steps), 48, width - 12), Scale(*padded(values), height - 44, 34)
    drawing.text(48, 14, items[0].label, style="font-weight:600")
    drawing.x_axis(x, height - 44, label="step", count=4)
    drawing.y_axis(y, 48, count=4, grid_right=width - 12)
    for curve in items:
        i = arms.index(curve.arm)
        points = [(x(s), y(v)) for s, v in zip(curve.steps, curve.dev_score) if v is not None]
        drawing.path(points, style=f"stroke:{colour(i)};stroke-dasharray:{DASHES[i % len(DASHES)]}")
    return drawing.render(
        identity=f"{view.slug}-curve{index}", title=f"Learning curves on {items[0].label}",
        description="Mean dev score over seeds by training step, for " + ", ".join(curve.arm for curve in items) + ".",
    )  # fmt: skip


# --- cost -----------------------------------------------------------------------------------------------------------------------------


def cost(view: View) -> str | None:
    points = view.family.cost_points
    names = [name for name in COSTS if sum(name in point.costs for point in points) > 1 and len({p.costs.get(name) for p in points}) > 1]
    names = [name for name in names if name != "tuning_trials"][:4]
    if not names:
        return None
    pictures = [raw(_scatter(view, name)) for name in names]
    rows: list[dict[str, Any]] = []
    for point in points:
        cells = [(FORMATS.get(name, digits.count)(point.costs.get(name)), name in point.frontier) for name in names]
        rows.append({"point": point, "cells": cells})
    return render("cost.html.j2", view=view, pictures=pictures, rows=rows, names=[COSTS[name] for name in names])


def _scatter(view: View, name: str) -> str:
    """Score against one cost; arms on the frontier are filled, joined and named."""
    points = [point for point in view.family.cost_points if name in point.costs]
    positive = [max(point.costs[name], 0.0) for point in points]
    log = min(positive) > 0 and max(positive) / min(positive) > 20
    width, height = 480.0, 320.0
    ends = [v for p in points for v in (p.low, p.high, p.score) if v is not None]
    low, high = (min(positive) / 1.5, max(positive) * 1.5) if log else padded(positive, 0.08)
    least, most = padded(ends)
    # names stand above their marks: room for two lines of them under the axis' title
    x, y = Scale(low, high, 52, width - 60, log), Scale(least, most + 0.12 * (most - least), height - 48, 26)
    drawing = Drawing(width, height)
    drawing.x_axis(x, height - 48, label=COSTS[name] + (", logarithmic" if log else ""))
    drawing.y_axis(y, 52, label="mean score", grid_right=width - 60)
    frontier = sorted((p for p in points if name in p.frontier), key=lambda p: p.costs[name])
    drawing.path([(x(p.costs[name]), y(p.score)) for p in frontier], style="stroke:var(--c2);stroke-dasharray:5 3;stroke-width:1.5")
    for point in points:
        px, on = x(point.costs[name]), name in point.frontier
        if point.low is not None and point.high is not None and len(points) <= 40:
            drawing.line(px, y(point.low), px, y(point.high), css="grid")
        style = "fill:var(--c2);stroke:var(--c2)" if on else "fill:var(--paper);stroke:var(--c1);stroke-width:1.5"
        drawing.mark(px, y(point.score), 3 if on else 0, title=_hint(point, name), style=style)
    taken: list[tuple[float, float]] = []
    for point in frontier:
        px, py = x(point.costs[name]), y(point.score) - 9
        while any(abs(px - a) < 90 and abs(py - b) < 12 for a, b in taken):
            py -= 12
        taken.append((px, py))
        drawing.text(
            px,
            py,
            point.arm if len(point.arm) < 22 else point.arm[:20] + "…",
            anchor="middle" if px > 110 else "start",
            style="font-size:11px",
        )
    return drawing.render(
        identity=f"{view.slug}-cost-{name.replace('_', '-')}", title=f"Score against {COSTS[name]}",
        description=f"{len(points)} arms; on the frontier, neither beaten by a cheaper arm nor by one as cheap: " + ", ".join(p.arm for p in frontier) + ".",
    )  # fmt: skip


def _hint(point: CostPoint, name: str) -> str:
    return f"{point.arm}: {digits.number(point.score)}, {FORMATS.get(name, digits.count)(point.costs[name])}"


def budget(view: View) -> str | None:
    family = view.family
    points = [p for p in family.cost_points if "tuning_trials" in p.costs]
    uneven = len({p.costs["tuning_trials"] for p in points}) > 1
    gaps = sorted(family.selection_gaps, key=lambda gap: gap.chosen is None)
    if not family.budget_curves and not uneven and not gaps:
        return None
    svg = _budget_picture(view) if family.budget_curves else ""
    groups: dict[float, list[str]] = defaultdict(list)
    for point in points:
        groups[point.costs["tuning_trials"]].append(point.arm)
    tuned = [
        {"trials": int(n), "n": len(arms), "arms": ", ".join(arms[:12]) + (f" and {len(arms) - 12} more" if len(arms) > 12 else "")}
        for n, arms in sorted(groups.items())
    ]
    over = next((digits.generalises(gap.gap.generalise_over) for gap in gaps if gap.gap.generalise_over), "")
    return render(
        "budget.html.j2", view=view, family=family, svg=raw(svg), tuned=tuned, uneven=uneven, gaps=gaps[:MOST_GAPS], over=over,
        left_out=max(len(gaps) - MOST_GAPS, 0), places=family.places, kinds={"tuned": any(c.source == TRIED for c in family.budget_curves)},
    )  # fmt: skip


def _budget_picture(view: View) -> str:
    found = view.family.budget_curves
    width, height = 640.0, 320.0
    values = [v for curve in found for v in (*curve.expected, *(b for b in (*curve.low, *curve.high) if b is not None))]
    drawing = Drawing(width, height)
    x = Scale(1, max(max(curve.budgets) for curve in found), 52, width - 150)
    y = Scale(*padded(values), height - 48, 26)
    drawing.x_axis(x, height - 48, label="configurations tried")
    drawing.y_axis(y, 52, label="expected best dev score", grid_right=width - 150)
    for i, curve in enumerate(found):
        drawing.path(
            [(x(b), y(v)) for b, v in zip(curve.budgets, curve.expected)],
            style=f"stroke:{colour(i)};stroke-dasharray:{DASHES[i % len(DASHES)]}",
        )
        for b, v in zip(curve.budgets, curve.expected):
            drawing.mark(x(b), y(v), i, size=3, title=f"{curve.arm}: {v:.3f} at {b}")
        drawing.mark(width - 138, 40 + 18 * i, i)
        drawing.text(width - 128, 44 + 18 * i, curve.arm if len(curve.arm) < 19 else curve.arm[:17] + "…")
    return drawing.render(
        identity=f"{view.slug}-budget", title="Expected best score against tuning budget",
        description="Expected best dev score of B configurations drawn from those that were run, by method.",
    )  # fmt: skip
