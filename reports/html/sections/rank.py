"""How stable the places are, and performance profiles."""

from __future__ import annotations

from typing import Any

from ...analysis import digits
from ...svg import DASHES, Drawing, Scale, colour
from ..view import View, raw, render

LEAST = 0.005
MOST_PLACES = 24


def heat(view: View) -> str | None:
    found = view.family.rank_heat
    if found is None or len(found.arms) < 2:
        return None
    shown = [arm for arm in found.arms if arm in view.shown]
    rows: list[dict[str, Any]] = []
    for arm in shown:
        chances = found.probabilities[found.arms.index(arm)]
        row = view.rows[arm]
        rows.append({"arm": arm, "row": row, "cells": [{"p": p, "text": digits.chance(p) if p >= LEAST else ""} for p in chances]})
    last = max((i for row in rows for i, cell in enumerate(row["cells"]) if cell["p"] >= LEAST), default=0) + 1
    places = min(last, MOST_PLACES)
    return render(
        "heat.html.j2", view=view, found=found, rows=rows, places=places, cut=last > places, left_out=len(found.arms) - len(shown),
        agreements=view.family.agreements, splits=max((a.tau.n_resamples or 0 for a in view.family.agreements), default=0),
    )  # fmt: skip


def profiles(view: View) -> str | None:
    found = view.family.profiles
    if not found:
        return None
    width, height = 760.0, 360.0
    x, y = Scale(0, 1, 46, width - 150), Scale(0, 1, height - 48, 24)
    drawing = Drawing(width, height)
    drawing.x_axis(x, height - 48, label="normalised score τ (0 = floor, 1 = ceiling)", grid_top=24)
    drawing.y_axis(y, 46, label="share of runs above τ", grid_right=width - 150)
    ends: list[tuple[float, int, str]] = []
    for i, profile in enumerate(found):
        points = [(x(t), y(s)) for t, s in zip(profile.thresholds, profile.share) if s is not None]
        bounds = [
            (x(t), y(lo), y(hi)) for t, lo, hi in zip(profile.thresholds, profile.low, profile.high) if lo is not None and hi is not None
        ]
        if i < 2:  # more bands than two only hide each other
            drawing.area([(a, c) for a, _, c in bounds], [(a, b) for a, b, _ in bounds], style=f"fill:{colour(i)}")
        drawing.path(points, style=f"stroke:{colour(i)};stroke-dasharray:{DASHES[i % len(DASHES)]}")
        ends.append((y(0.92 - i * 0.08), i, profile.arm))
    for position, i, arm in ends:
        drawing.line(
            width - 140,
            position,
            width - 112,
            position,
            css="curve",
            style=f"stroke:{colour(i)};stroke-dasharray:{DASHES[i % len(DASHES)]}",
        )
        drawing.text(width - 106, position + 4, arm if len(arm) < 17 else arm[:15] + "…")
    names = ", ".join(profile.arm for profile in found)
    svg = drawing.render(
        identity=f"{view.slug}-profile",
        title="Performance profiles",
        description=f"Share of runs above each normalised score, for {names}. Higher is better everywhere.",
    )
    picks = [i for i, t in enumerate(found[0].thresholds) if round(t * 10, 6) == int(round(t * 10, 6))]
    rows = [{"arm": p.arm, "values": [p.share[i] for i in picks]} for p in found]
    return render(
        "profiles.html.j2", svg=raw(svg), rows=rows, thresholds=[found[0].thresholds[i] for i in picks], n=len(found), total=len(view.order)
    )
