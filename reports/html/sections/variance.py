"""Variance shares and what to run next, template sensitivity, and power."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import Any

from ...analysis.findings import NextSample, Templates
from ...svg import Drawing, Scale, colour, padded
from ..view import View, raw, render

WORDS = {"seed": "seeds", "example": "examples", "remainder": "seed × example", "template": "templates", "split": "splits"}
MOST = 40


def variance(view: View) -> str | None:
    family = view.family
    if not family.shares and not family.next_samples:
        return None
    names = [name for name in WORDS if any(name in item.shares for item in family.shares)]
    svg = _bars(view, names) if family.shares else ""
    by_column: dict[str, list[NextSample]] = defaultdict(list)
    for option in family.next_samples:
        by_column[option.label].append(option)
    unknown: dict[str, list[str]] = defaultdict(list)
    for option in family.next_samples:
        if option.axis == "template" and option.floor is None and option.reason:
            unknown[option.reason].append(option.label)
    # the first option of a column is the one that narrows most per second
    advice = [{"label": label, "best": options[0], "others": options[1:]} for label, options in by_column.items()]
    return render(
        "variance.html.j2", view=view, family=family, names=[(name, WORDS[name]) for name in names], svg=raw(svg), advice=advice,
        relevant=view.analysis.options.relevant, unknown=list(unknown.items()),
        wordings=any("template" in option.over for option in family.next_samples),
    )  # fmt: skip


def _bars(view: View, names: list[str]) -> str:
    shares = view.family.shares[:MOST]
    width, step, left = 760.0, 20.0, 190.0
    drawing = Drawing(width, step * len(shares) + 50)
    x = Scale(0, 1, left, width - 20)
    for row, item in enumerate(shares):
        y, start = 6 + step * row, 0.0
        label = item.label if len(item.label) < 30 else item.label[:28] + "…"
        drawing.text(left - 8, y + 11, label, anchor="end")
        for i, name in enumerate(names):
            share = item.shares.get(name, 0.0)
            opacity = (0.65, 0.5, 0.35, 0.5, 0.65)[i % 5]
            drawing.rect(
                x(start), y, x(start + share) - x(start), step - 6, style=f"fill:{colour(i)};opacity:{opacity};stroke:var(--paper)",
                title=f"{item.label}: {WORDS[name]} {share:.0%}",
            )  # fmt: skip
            if share > 0.09:
                drawing.text(x(start + share / 2), y + 11, f"{share:.0%}", anchor="middle", style="font-size:10px")
            start += share
    drawing.x_axis(x, step * len(shares) + 10, label="share of the variance of one scored example")
    what = ", ".join(WORDS[name] for name in names)
    return drawing.render(
        identity=f"{view.slug}-shares",
        title="Shares of variance",
        description=f"For every column, the shares of {what} in the variance, averaged over arms.",
    )


# --- templates ------------------------------------------------------------------------------------------------------------------------


def templates(view: View) -> str | None:
    family = view.family
    if not family.templates:
        return None
    by_column: dict[str, list[Templates]] = defaultdict(list)
    for item in family.templates:
        by_column[item.column].append(item)
    pictures = [raw(_strip(view, index, items)) for index, items in enumerate(by_column.values()) if index < 12]
    shown = [item for items in by_column.values() for item in items][:400]
    return render(
        "templates.html.j2", view=view, family=family, pictures=pictures, shown=shown, left_out=len(family.templates) - len(shown)
    )


def _strip(view: View, index: int, items: list[Templates]) -> str:
    items = items[:12]
    values = [value for item in items for value in item.means.values()]
    width, step, left = 380.0, 18.0, 130.0
    drawing = Drawing(width, step * len(items) + 74)
    x = Scale(*padded(values), left, width - 14)
    drawing.text(4, 14, items[0].label, style="font-weight:600")
    for row, item in enumerate(items):
        y = 34 + step * row
        drawing.text(left - 8, y + 4, item.arm if len(item.arm) < 20 else item.arm[:18] + "…", anchor="end", style="font-size:11px")
        drawing.line(x(min(item.means.values())), y, x(max(item.means.values())), y, css="grid")
        for name, value in item.means.items():
            drawing.parts.append(
                f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="3.2" style="fill:var(--c1);opacity:.6"><title>{escape(name)}: {value:.3f}</title></circle>'
            )
    drawing.x_axis(x, 34 + step * len(items), count=4)
    return drawing.render(
        identity=f"{view.slug}-strip{index}", title=f"Template means on {items[0].label}",
        description="One dot for every template, one line for every arm; the longer the line, the more the wording matters.",
    )  # fmt: skip


# --- power ----------------------------------------------------------------------------------------------------------------------------


def power(view: View) -> str | None:
    family = view.family
    if not family.power:
        return None
    counts = list(dict.fromkeys(n for item in family.power for n in item.with_seeds))
    rows: list[dict[str, Any]] = [
        {"item": item, "places": family.places.difference, "values": [item.with_seeds.get(n) for n in counts]} for item in family.power
    ]
    return render("power.html.j2", view=view, rows=rows, counts=counts, relevant=view.analysis.options.relevant)
