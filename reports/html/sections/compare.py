"""Comparisons: forest plot against a baseline, the matrix of pairs, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ...analysis import digits
from ...analysis.findings import CriticalDifference
from ...svg import Drawing, Scale, padded
from ..view import View, raw, render

FOREST = (300, 20)


def forest(view: View) -> str | None:
    family = view.family
    if len(view.order) < 2 or not family.pairs:
        return None
    rows = _forest_rows(view, family.default_baseline)
    declared = family.default_baseline in family.baselines
    return render("forest.html.j2", view=view, family=family, rows=rows, declared=declared, over=_forest_over(view), width=FOREST[0])


def _forest_over(view: View) -> str:
    return "tasks" if view.family.testing.ranking_over == "tasks" else "here"


def _forest_rows(view: View, baseline: str) -> list[dict[str, Any]]:
    over_tasks = _forest_over(view) == "tasks"
    found: list[dict[str, Any]] = []
    places = view.family.places.difference
    for arm in view.order:
        pair_sign = view.pair(arm, baseline)
        if arm == baseline or pair_sign is None:
            continue
        pair, sign = pair_sign
        test = pair.tasks if over_tasks else pair.here
        low, high = (test.ci_low, test.ci_high) if sign > 0 else (_minus(test.ci_high), _minus(test.ci_low))
        versus = view.versus.get((baseline, arm))
        adjusted = pair.tasks_adjusted if over_tasks else pair.here_adjusted
        if versus is not None:
            adjusted = versus.tasks_adjusted if over_tasks else versus.here_adjusted
        estimate = None if test.estimate is None else sign * test.estimate
        found.append(
            {
                "arm": arm,
                "estimate": estimate,
                "text": digits.number(estimate, places, sign=True),
                "interval": f"{digits.number(low, places, sign=True)} to {digits.number(high, places, sign=True)}"
                if low is not None
                else digits.NOTHING,
                "low": low,
                "high": high,
                "p": digits.pvalue(adjusted),
                "verdict": _verdict(estimate, adjusted, view.alpha),
                "columns": f"{pair.wins if sign > 0 else pair.losses} / {pair.losses if sign > 0 else pair.wins} of {pair.n_columns}",
                "unequal": pair.unequal_tuning,
            }
        )
    scale = _forest_scale(found)
    for row in found:
        row["bar"] = _forest_bar(row, scale)
    return found


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _verdict(estimate: float | None, p: float | None, alpha: float) -> str:
    if estimate is None or p is None:
        return "not tested"
    return "not told apart" if p > alpha else "better" if estimate > 0 else "worse"


def _forest_scale(rows: Sequence[dict[str, Any]]) -> Scale:
    ends = [value for row in rows for value in (row["low"], row["high"], row["estimate"]) if value is not None]
    low, high = padded([*ends, 0.0], 0.03)
    return Scale(low, high, 6, FOREST[0] - 6)


def _forest_bar(row: dict[str, Any], scale: Scale) -> Markup:
    if row["estimate"] is None:
        return Markup("")
    drawing, middle = Drawing(*FOREST), FOREST[1] / 2
    drawing.line(scale(0), 0, scale(0), FOREST[1], css="zero")
    if row["low"] is not None:
        drawing.line(scale(row["low"]), middle, scale(row["high"]), middle, css="whisker")
    drawing.parts.append(f'<circle cx="{scale(row["estimate"]):.1f}" cy="{middle}" r="4" class="dot"/>')
    return raw(
        f'<svg class="inline" width="{FOREST[0]}" height="{FOREST[1]}" aria-hidden="true" focusable="false">{"".join(drawing.parts)}</svg>'
    )


def matrix(view: View) -> str | None:
    family = view.family
    shown = view.shown
    if len(shown) < 2 or not family.pairs:
        return None
    over_tasks = family.testing.ranking_over == "tasks"
    rows = [{"arm": a, "index": view.order.index(a), "cells": [_matrix_cell(view, a, b, over_tasks) for b in shown]} for a in shown]
    has_bayes = any(pair.bayes is not None for pair in family.pairs)
    return render(
        "matrix.html.j2", view=view, family=family, rows=rows, shown=shown, left_out=len(view.order) - len(shown), has_bayes=has_bayes
    )


def _matrix_cell(view: View, a: str, b: str, over_tasks: bool) -> dict[str, Any]:
    found = view.pair(a, b)
    if a == b or found is None:
        return {"css": "self", "text": "", "other": view.order.index(b)}
    pair, sign = found
    test, adjusted = (pair.tasks, pair.tasks_adjusted) if over_tasks else (pair.here, pair.here_adjusted)
    estimate = None if test.estimate is None else sign * test.estimate
    told = adjusted is not None and adjusted <= view.alpha and estimate is not None
    css = ("better" if estimate > 0 else "worse") if told and estimate is not None else ""
    mark = "▲ " if css == "better" else "▼ " if css == "worse" else ""
    return {"css": css, "text": mark + digits.number(estimate, view.family.places.difference, sign=True), "other": view.order.index(b)}


# --- critical differences -----------------------------------------------------------------------------------------------------------------


def critical_difference(view: View) -> str | None:
    found = view.family.critical_difference
    if found is None:
        return None
    kept = _kept(found)
    svg = _diagram(view, found, kept)
    rows = [
        {
            "arm": arm,
            "rank": rank,
            "letters": found.letters.get(arm, ""),
            "bars": ", ".join(str(i + 1) for i, bar in enumerate(found.cliques) if arm in bar),
        }
        for arm, rank in zip(found.arms, found.mean_ranks)
    ]
    letters = any(row["letters"] for row in rows)
    return render(
        "critical.html.j2", view=view, found=found, svg=raw(svg), rows=rows, letters=letters, left_out=len(found.arms) - len(kept)
    )


def _kept(found: CriticalDifference, most: int = 30) -> list[int]:
    return list(range(min(len(found.arms), most)))


def _diagram(view: View, found: CriticalDifference, kept: Sequence[int]) -> str:
    width, half = 900.0, (len(kept) + 1) // 2
    bars = [bar for bar in found.cliques if any(found.arms[i] in bar for i in kept)]
    bars = sorted(bars, key=len, reverse=True)[:12]
    bars = [bar for bar in found.cliques if bar in bars]
    top = 52.0
    below = top + 14 + 9 * len(bars)
    height = below + 22 * half + 12
    ranks = [found.mean_ranks[i] for i in kept]
    low, high = max(1.0, float(int(min(ranks)))), max(float(int(max(ranks) + 0.999)), min(ranks) + 1)
    scale = Scale(low, high, 256, width - 256)  # labels stand outside it, so that no line runs through them
    drawing = Drawing(width, height)
    for tick in scale.ticks(8):
        drawing.line(scale(tick), top - 5, scale(tick), top)
        drawing.text(scale(tick), top - 9, f"{tick:g}", anchor="middle", css="tick")
    drawing.line(scale.start, top, scale.stop, top)
    if found.nemenyi is not None and scale(low + found.nemenyi) <= width - 20:
        drawing.line(scale(low), 20, scale(low + found.nemenyi), 20, css="whisker")
        drawing.text(scale(low + found.nemenyi) + 6, 24, f"Nemenyi CD = {found.nemenyi:.2f}", css="axis")
    for position, bar in enumerate(bars):
        places = [found.mean_ranks[found.arms.index(arm)] for arm in bar]
        y = top + 10 + 9 * position
        drawing.line(scale(min(places)) - 4, y, min(scale(max(places)) + 4, scale.stop + 8), y, css="bar")
    for order, i in enumerate(kept):
        left = order < half
        y = below + 22 * (order if left else len(kept) - 1 - order) + 12
        x, end = scale(found.mean_ranks[i]), 240.0 if left else width - 240.0
        drawing.line(x, top, x, y)
        drawing.line(x, y, end, y)
        letters = found.letters.get(found.arms[i], "")
        label = f"{found.arms[i]} {found.mean_ranks[i]:.2f}" + (f" ({letters[:8]})" if letters else "")
        drawing.text(end - 6 if left else end + 6, y + 4, _short(label, 30), anchor="end" if left else "start")
    over = digits.generalises(found.procedure)
    return drawing.render(
        identity=f"{view.slug}-cd", title="Critical-difference diagram",
        description=f"Mean ranks of {len(kept)} arms over {found.n_tasks} tasks on a line, 1 is best; {len(bars)} bars join arms that tests {over} did not tell apart.",
    )  # fmt: skip


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
