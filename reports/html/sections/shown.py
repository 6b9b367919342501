"""What trials did, to look at: scores along a test-time stream, and pictures that they left."""

from __future__ import annotations

from collections import defaultdict

from ...analysis.findings import Stream
from ...svg import DASHES, Drawing, Scale, colour, padded
from ..pictures import by_kind
from ..view import View, raw, render
from .cost import sample

MOST_PICTURES = 12


def streams(view: View) -> str | None:
    found = view.family.streams
    if not found:
        return None
    by_column: dict[str, list[Stream]] = defaultdict(list)
    for stream in found:
        by_column[stream.column].append(stream)
    arms = [arm for arm in view.order if any(stream.arm == arm for stream in found)]
    pictures = [raw(_picture(view, index, items, arms)) for index, items in enumerate(by_column.values()) if index < MOST_PICTURES]
    key = [(arm, raw(sample(i))) for i, arm in enumerate(arms)]
    rows = [{"s": s, "first": s.mean[0], "half": s.mean[len(s.steps) // 2], "last": s.mean[-1]} for s in found]
    return render("streams.html.j2", view=view, pictures=pictures, key=key, rows=rows, left_out=max(len(by_column) - MOST_PICTURES, 0))


def _picture(view: View, index: int, items: list[Stream], arms: list[str]) -> str:
    width, height = 380.0, 240.0
    values = [v for s in items for series in (s.mean, s.low, s.high) for v in series if v is not None]
    # bands of few seeds reach far; the means decide the frame, with room for what is near
    means = [v for s in items for v in s.mean if v is not None]
    room = 1.5 * (max(means) - min(means) or 0.1)
    low, high = max(min(values), min(means) - room), min(max(values), max(means) + room)
    steps = [step for s in items for step in s.steps]
    drawing = Drawing(width, height)
    x, y = Scale(min(steps), max(steps), 48, width - 12), Scale(*padded([low, high]), height - 44, 34)
    drawing.text(48, 14, items[0].label, style="font-weight:600")
    drawing.x_axis(x, height - 44, label="step of the stream", count=4)
    drawing.y_axis(y, 48, count=6, grid_right=width - 12)
    for s in items:
        i = arms.index(s.arm)
        ends = [(x(t), y(max(lo, low)), y(min(hi, high))) for t, lo, hi in zip(s.steps, s.low, s.high) if lo is not None and hi is not None]
        drawing.area([(a, c) for a, _, c in ends], [(a, b) for a, b, _ in ends], style=f"fill:{colour(i)}")
    for s in items:
        i = arms.index(s.arm)
        points = [(x(t), y(v)) for t, v in zip(s.steps, s.mean) if v is not None]
        drawing.path(points, style=f"stroke:{colour(i)};stroke-dasharray:{DASHES[i % len(DASHES)]}")
    return drawing.render(
        identity=f"{view.slug}-stream{index}", title=f"Scores along the stream of {items[0].label}",
        description="Mean score over seeds at each step of the test stream, for " + ", ".join(s.arm for s in items) + ".",
    )  # fmt: skip


def pictures(view: View) -> str | None:
    gallery = view.gallery
    if gallery is None:
        return None
    return render("pictures.html.j2", kinds=by_kind(gallery), too_large=gallery.too_large)
