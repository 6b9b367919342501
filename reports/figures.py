"""The figures of a report as SVG and PDF for papers, through matplotlib, from the same analysis as the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .analysis import digits
from .analysis.economics import COSTS
from .analysis.model import Analysis, Family

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666", "#000000")
STYLES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 5)))
MARKERS = "osDv^P*X"
MOST = 30


def write_figures(analysis: Analysis, folder: Path) -> list[Path]:
    """figures/<family>-<figure>.svg and .pdf; a figure without data is left out."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from cycler import cycler

    from .html.view import slug

    settings: Any = {
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "harness", "svg.fonttype": "none",
        "pdf.fonttype": 42, "axes.prop_cycle": cycler(color=OKABE_ITO), "text.parse_math": False,
    }  # fmt: skip
    drawings: dict[str, Callable[[Analysis, Family, Any], Any | None]] = {
        "leaderboard": _intervals, "forest": _forest, "critical-difference": _critical, "profiles": _profiles, "variance": _variance, "cost": _cost,
    }  # fmt: skip
    paths: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(settings):
        for family in analysis.families:
            for name, draw in drawings.items():
                figure = draw(analysis, family, plt)
                if figure is None:
                    continue
                for kind in ("svg", "pdf"):
                    path = folder / f"{slug(family.name)}-{name}.{kind}"
                    # no dates: the same analysis gives the same bytes
                    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if kind == "svg" else {"CreationDate": None})
                    paths.append(path)
                plt.close(figure)
    return paths


def _intervals(analysis: Analysis, family: Family, plt: Any) -> Any | None:
    rows = [row for row in family.standings if row.score.estimate is not None][:MOST]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(5.5, 0.26 * len(rows) + 0.8))
    for y, row in enumerate(rows):
        assert row.score.estimate is not None
        if row.score.ci_low is not None and row.score.ci_high is not None:
            axes.plot([row.score.ci_low, row.score.ci_high], [y, y], color="#444444", linewidth=1.2)
        axes.plot(row.score.estimate, y, "o", color=OKABE_ITO[0] if row.best_group else "#444444", markersize=4.5)
    axes.set_yticks(range(len(rows)), [f"{row.arm}  {row.place.replace('-', '–')}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(
        f"mean {family.metric if family.unit == 'score' else family.unit}, {analysis.options.level:.0%} interval {digits.generalises(rows[0].score.generalise_over)}"
    )
    return figure


def _forest(analysis: Analysis, family: Family, plt: Any) -> Any | None:
    baseline = family.default_baseline
    over_tasks = family.testing.ranking_over == "tasks"
    rows = []
    order = [row.arm for row in family.standings]
    for pair in family.pairs:
        if baseline not in (pair.a, pair.b):
            continue
        sign, arm = (1, pair.a) if pair.b == baseline else (-1, pair.b)
        test = pair.tasks if over_tasks else pair.here
        if test.estimate is not None:
            half = test.half_width
            rows.append((order.index(arm), arm, sign * test.estimate, half))
    rows = sorted(rows)[:MOST]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(5.5, 0.26 * len(rows) + 0.8))
    axes.axvline(0, color="#999999", linestyle="--", linewidth=0.8)
    for y, (_, _, value, half) in enumerate(rows):
        if half is not None:
            axes.plot([value - half, value + half], [y, y], color="#444444", linewidth=1.2)
        axes.plot(value, y, "o", color="#444444", markersize=4.5)
    axes.set_yticks(range(len(rows)), [arm for _, arm, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"difference to {baseline}, {digits.generalises(family.testing.ranking_over)}")
    return figure


def _critical(analysis: Analysis, family: Family, plt: Any) -> Any | None:
    found = family.critical_difference
    if found is None:
        return None
    n = min(len(found.arms), MOST)
    half = (n + 1) // 2
    bars = [bar for bar in found.cliques if any(arm in found.arms[:n] for arm in bar)][:8]
    figure, axes = plt.subplots(figsize=(6.5, 0.2 * (half + len(bars)) + 0.9))
    low, high = min(found.mean_ranks[:n]), max(found.mean_ranks[:n])
    span = max(high - low, 0.5)
    axes.plot([low, high], [0, 0], color="black", linewidth=0.8)
    for i, bar in enumerate(bars):
        places = [found.mean_ranks[found.arms.index(arm)] for arm in bar]
        axes.plot([min(places), min(max(places), high)], [-0.35 - 0.4 * i] * 2, color=OKABE_ITO[0], linewidth=3, solid_capstyle="round")
    for i in range(n):
        left = i < half
        y = -0.9 - 0.4 * len(bars) - 0.8 * (i if left else n - 1 - i)
        end = low - 0.1 * span if left else high + 0.1 * span
        axes.plot([found.mean_ranks[i]] * 2 + [end], [0, y, y], color="#888888", linewidth=0.7)
        letters = found.letters.get(found.arms[i], "")
        label = f"{found.arms[i]} {found.mean_ranks[i]:.2f}" + (f" ({letters[:8]})" if letters else "")
        axes.text(end, y, f"{label} " if left else f" {label}", ha="right" if left else "left", va="center", fontsize=8)
    for tick in range(int(low), int(high) + 2):
        if low <= tick <= high:
            axes.plot([tick, tick], [0, 0.15], color="black", linewidth=0.8)
            axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    axes.axis("off")
    return figure


def _profiles(analysis: Analysis, family: Family, plt: Any) -> Any | None:
    if not family.profiles:
        return None
    figure, axes = plt.subplots(figsize=(5, 3.2))
    for i, profile in enumerate(family.profiles):
        axes.plot(profile.thresholds, profile.share, label=profile.arm, linestyle=STYLES[i % len(STYLES)])
    axes.set_xlabel("normalised score τ")
    axes.set_ylabel("share of runs above τ")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _variance(analysis: Analysis, family: Family, plt: Any) -> Any | None:
    shares = family.shares[:MOST]
    if not shares:
        return None
    names = list(dict.fromkeys(name for item in shares for name in item.shares))
    figure, axes = plt.subplots(figsize=(5.5, 0.24 * len(shares) + 1))
    start = [0.0] * len(shares)
    for i, name in enumerate(names):
        widths = [item.shares.get(name, 0.0) for item in shares]
        axes.barh(
            range(len(shares)), widths, left=start, label=name, color=OKABE_ITO[i], hatch=("", "///", "..", "xx")[i % 4], edgecolor="white"
        )
        start = [a + b for a, b in zip(start, widths)]
    axes.set_yticks(range(len(shares)), [item.label for item in shares])
    axes.invert_yaxis()
    axes.set_xlabel("share of variance")
    axes.legend(frameon=False, fontsize=8, ncol=len(names), loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def _cost(analysis: Analysis, family: Family, plt: Any) -> Any | None:
    name = next((n for n in COSTS if len({p.costs[n] for p in family.cost_points if n in p.costs}) > 1), None)
    if name is None:
        return None
    points = [p for p in family.cost_points if name in p.costs]
    figure, axes = plt.subplots(figsize=(5, 3.4))
    for point in points:
        on = name in point.frontier
        axes.plot(
            point.costs[name],
            point.score,
            "D" if on else "o",
            color=OKABE_ITO[1] if on else OKABE_ITO[0],
            markerfacecolor=None if on else "white",
        )
        if on:
            axes.annotate(point.arm, (point.costs[name], point.score), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
    front = sorted((p.costs[name], p.score) for p in points if name in p.frontier)
    axes.plot([x for x, _ in front], [y for _, y in front], "--", color=OKABE_ITO[1], linewidth=0.9)
    costs = [p.costs[name] for p in points]
    if min(costs) > 0 and max(costs) / min(costs) > 20:
        axes.set_xscale("log")
    axes.set_xlabel(COSTS[name])
    axes.set_ylabel(f"mean {family.metric if family.unit == 'score' else family.unit}")
    return figure
