"""The verdict and the leaderboard."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from ...analysis import digits
from ...analysis.model import Standing
from ...exports import best_cells
from ...statistics.result import TestResult
from ...svg import Drawing, Scale, padded
from ..view import View, raw, render

BAR = (96, 16)
MOST_CELLS = 700


def verdict(view: View) -> str:
    family = view.family
    return render("verdict.html.j2", family=family, options=view.analysis.options)


def leaderboard(view: View) -> str:
    family = view.family
    scale = _bar_scale([row.score for row in family.standings])
    rows = [_row(view, row, scale) for row in family.standings]
    costs = [row["arm"].cost for row in rows]
    has = {
        "tuning": any(c.tuning_trials for c in costs),
        "parameters": any(c.trainable_parameters is not None for c in costs),
        "bytes": any(c.stored_bytes is not None for c in costs),
        "seconds": any(c.seconds_total is not None for c in costs),
        "memory": any(c.peak_bytes is not None for c in costs),
        "normalised": any(row.normalised is not None for row in family.standings)
        and family.unit != "normalised"
        and any((column.floor, column.ceiling) != (0.0, 1.0) for column in family.columns),
        "iqm": any(row.iqm.estimate is not None for row in family.standings),
        "best": any(row.p_best is not None for row in family.standings),
        "win": any(row.win_rate is not None for row in family.standings),
        "groups": any(row.groups for row in family.standings),
    }
    tags = sorted({tag for column in family.columns for tag in column.tags} | {tag for arm in family.arms for tag in arm.tags})
    return render(
        "leaderboard.html.j2",
        view=view,
        family=family,
        rows=rows,
        has=has,
        tags=tags,
        best=best_cells(family, view.alpha),
        caption=_caption(view),
        details=len(family.cells) <= MOST_CELLS,
        best_title=_chances(view),
    )


def _chances(view: View) -> str:
    """How P(best) was drawn, and what over."""
    found = view.family.rank_heat
    return "" if found is None else f"{found.method}, {digits.generalises(found.generalise_over)}"


def _row(view: View, row: Standing, scale: Scale | None) -> dict[str, Any]:
    return {
        "row": row,
        "arm": view.arms[row.arm],
        "bar": interval_bar(row.score, scale),
        "cells": [view.cells.get((row.arm, column.key)) for column in view.family.columns],
        "uneven": any(pair.unequal_tuning for pair in view.family.pairs if row.arm in (pair.a, pair.b)),
    }


def _caption(view: View) -> str:
    family = view.family
    rows = [row for row in family.standings if row.score.estimate is not None]
    over = digits.generalises(rows[0].score.generalise_over) if rows else ""
    better = "higher is better" if family.higher_is_better else "lower is better"
    unit = {"score": family.metric, "normalised": "normalised score", "win rate": "share of rivals beaten"}[family.unit]
    return (
        f"Sorted by mean {unit} ({better}). Place: from tests {digits.generalises(family.testing.ranking_over)}; "
        f"arms that share a letter were not told apart. {f'Intervals of the mean: {view.analysis.options.level:.0%} {over}. ' if over else ''}"
        f"* in a column: not told apart from its best (Holm over its pairs)."
    )


def _bar_scale(results: list[TestResult]) -> Scale | None:
    ends = [v for r in results for v in (r.ci_low, r.ci_high, r.estimate) if v is not None]
    return Scale(*padded(ends, 0.04), 3, BAR[0] - 3) if ends else None


def interval_bar(result: TestResult, scale: Scale | None) -> Markup:
    """A small picture of an interval, beside its numbers and therefore hidden from screen readers."""
    if scale is None or result.estimate is None:
        return Markup("")
    drawing, middle = Drawing(*BAR), BAR[1] / 2
    if result.ci_low is not None and result.ci_high is not None:
        drawing.line(scale(result.ci_low), middle, scale(result.ci_high), middle, css="whisker")
    drawing.parts.append(f'<circle cx="{scale(result.estimate):.1f}" cy="{middle}" r="3" class="dot"/>')
    return raw(
        f'<svg class="inline" width="{BAR[0]}" height="{BAR[1]}" aria-hidden="true" focusable="false">{"".join(drawing.parts)}</svg>'
    )
