"""The words and figures of a cell, the same in every output."""

from __future__ import annotations

import math

import numpy as np

from .comparison import CellVerdict, Comparison
from .costs import CostChange

MARKS = {
    "broken": "✗", "missing": "?", "incomparable": "≠", "severe": "▼▼", "regressed": "▼", "inconclusive": "~", "non-inferior": "≥",
    "equivalent": "=", "improved": "▲", "fixed": "✓",
}  # fmt: skip


def decimals(se: float | None) -> int:
    """Two significant digits of the standard error decide the decimals.

    >>> decimals(0.0123), decimals(2.5), decimals(None)
    (3, 1, 4)
    """
    if not se or not math.isfinite(se):
        return 4
    return min(max(1 - math.floor(math.log10(se)), 0), 8)


def number(value: float | None, places: int = 4, *, signed: bool = False) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:+.{places}f}" if signed else f"{value:.{places}f}"
    return text.replace("-", "−")


def p_text(p: float | None) -> str:
    return "–" if p is None else "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def places_of(cell: CellVerdict) -> int:
    return decimals(cell.test.se if cell.test is not None else None)


def means_text(cell: CellVerdict) -> str:
    places = places_of(cell)
    return f"{number(cell.baseline_mean, places)} → {number(cell.current_mean, places)}"


def interval_text(cell: CellVerdict) -> str:
    low, high = cell.interval
    places = places_of(cell)
    return "–" if low is None or high is None else f"[{number(low, places, signed=True)}, {number(high, places, signed=True)}]"


def flips_text(cell: CellVerdict) -> str:
    """Changed predictions, or what could be compared of them."""
    flips = cell.flips
    if flips is None or not flips.compared:
        return "–"
    what = "" if flips.source == "predictions" else " scores"
    return "0" if not flips.changed else f"{flips.changed}/{flips.compared}{what} ({flips.rate:.2%})"


def seeds_text(cell: CellVerdict) -> str:
    return str(cell.n_baseline) if cell.n_baseline == cell.n_current else f"{cell.n_baseline} v {cell.n_current}"


def sentence(cell: CellVerdict, comparison: Comparison) -> str:
    """A cell in one line with its numbers."""
    parts = [f"{cell.label} ({cell.metric}): {cell.verdict}"]
    if cell.reason:
        parts.append(cell.reason)
    if cell.estimate is not None:
        places, level = places_of(cell), 1 - 2 * comparison.alpha
        text = f"change {number(cell.estimate, places, signed=True)}"
        if cell.interval[0] is not None:
            text += f", {level:.0%} interval {interval_text(cell)} unadjusted, over {cell.test.generalise_over if cell.test else ''}"
        if cell.p_adjusted is not None:
            text += f", p(loss) {p_text(cell.p_adjusted)}" + (f" by Holm over {comparison.family_size}" if cell.gating else " (not gating)")
        parts.append(f"{text}, margin {number(cell.margin, max(places, 4))}")
    if cell.needed is not None:
        parts.append(f"to settle it: {cell.needed}")
    if cell.flips is not None and cell.flips.changed:
        parts.append(f"changed {'predictions' if cell.flips.source == 'predictions' else 'example scores'}: {flips_text(cell)}")
    if cell.newly_failed:
        parts.append(f"{cell.newly_failed} seeds newly fail")
    if cell.seeds_absent:
        parts.append(f"{cell.seeds_absent} seeds were not run")
    return "; ".join([*parts, *cell.notes])


def cost_sentence(change: CostChange) -> str:
    shared = " (shared by a group of runs)" if change.shared else ""
    return f"{change.label}: {change.cost} {quantity(change.before, change.unit)} → {quantity(change.now, change.unit)}, x{change.ratio:.3g} {change.verdict} by {change.how}{shared}"


def quantity(value: float, unit: str) -> str:
    """
    >>> quantity(12_345_678, "B"), quantity(3.21, "s")
    ('12.3 MB', '3.21 s')
    """
    if unit == "s":
        return f"{value:.3g} s"
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {letter}{unit}"
    return f"{value:.3g} {unit}".strip()


def remarks(comparison: Comparison) -> list[str]:
    """What is said once for the whole comparison: common shift, exact mode, new cells, warnings, versions."""
    lines = comparison.shift.sentences(comparison.changed_versions)
    changed = [cell for cell in comparison.cells if cell.flips is not None and cell.flips.changed]
    compared = [cell for cell in comparison.cells if cell.flips is not None]
    if comparison.exact or changed:
        shift = comparison.shift
        text = f"Predictions changed in {len(changed)} of {len(compared)} comparable cells ({shift.arms_flipped} of {shift.arms} arms)"
        lines.append(text + (", which fails --exact." if comparison.exact and changed else "."))
    detectable = [cell.detectable for cell in comparison.cells if cell.detectable is not None and cell.gating]
    if detectable:
        low, middle, high = (f"{value:.2g}" for value in np.quantile(detectable, [0, 0.5, 1]))
        lines.append(f"Losses these cells would find with 80% power, one by one: {low} to {high}, half of them {middle} or less.")
    if comparison.changed_versions and not comparison.shift.suspected:
        named = ", ".join(f"{name} {old} to {new}" for name, (old, new) in comparison.changed_versions.items())
        lines.append(f"Environment changed: {named}.")
    if comparison.added:
        more = f" and {len(comparison.added) - 5} more" if len(comparison.added) > 5 else ""
        lines.append(f"New cells without a baseline: {', '.join(comparison.added[:5])}{more}.")
    return [*lines, *(f"Warning: {text}." for text in comparison.warnings)]


def notable(comparison: Comparison) -> list[CellVerdict]:
    """Cells that fail the gate, lost, changed state or improved, gravest first; the unremarkable ones are left to details."""
    from .verdicts import VERDICTS

    quiet = ("equivalent", "non-inferior", "inconclusive")
    chosen = [cell for cell in comparison.cells if comparison.code(cell) or cell.verdict not in quiet]
    return sorted(chosen, key=lambda cell: (not comparison.code(cell), VERDICTS.index(cell.verdict), cell.label))


def caption(comparison: Comparison) -> str:
    level = 1 - 2 * comparison.alpha
    return (
        f"Change = current − baseline, turned so that a loss is negative. {level:.0%} intervals are unadjusted; p is against no loss, "
        f"Holm over the {comparison.family_size} gating cells that could be tested. Over seeds and examples unless said otherwise."
    )
