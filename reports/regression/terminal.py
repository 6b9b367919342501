"""The comparison in a terminal. Everything from results goes in as Text, so that no markup in a name is obeyed."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .comparison import CellVerdict, Comparison
from .gates import PASS
from .wording import (
    MARKS,
    caption,
    cost_sentence,
    flips_text,
    interval_text,
    means_text,
    notable,
    number,
    p_text,
    places_of,
    remarks,
    seeds_text,
)

COLOURS = {
    "broken": "red", "missing": "red", "incomparable": "magenta", "severe": "bold red", "regressed": "red", "inconclusive": "yellow",
    "non-inferior": "green", "equivalent": "green", "improved": "bold green", "fixed": "bold green",
}  # fmt: skip
MOST_ROWS = 60


def print_comparison(comparison: Comparison, console: Console, *, everything: bool = False) -> None:
    """Headline, remarks, notable cells (all of them with `everything`, or where they are few), dearer costs."""
    console.print(Text(comparison.headline, style="bold green" if comparison.exit_code == PASS else "bold red"))
    console.print(Text(f"baseline {comparison.baseline}, current {comparison.current}", style="dim"))
    for line in remarks(comparison):
        console.print(Text(line, style="yellow"))
    chosen = list(comparison.cells) if everything or len(comparison.cells) <= MOST_ROWS else notable(comparison)
    shown = chosen if everything else chosen[:MOST_ROWS]
    if shown:
        console.print(_table(shown))
        console.print(Text(caption(comparison), style="dim"))
    if len(shown) < len(comparison.cells):
        console.print(Text(f"{len(comparison.cells) - len(shown)} further cells: --all, --markdown or --json", style="dim"))
    for cell in (cell for cell in shown if cell.verdict != "equivalent"):
        for text in (cell.reason, str(cell.needed) if cell.needed else "", *cell.notes):
            if text:
                console.print(
                    Text(f"  {cell.label}: {'to settle it: ' if cell.needed and text == str(cell.needed) else ''}{text}", style="dim")
                )
    for change in comparison.costs:
        if change.verdict in ("dearer", "cheaper"):
            console.print(Text(cost_sentence(change), style="yellow" if change.verdict == "dearer" else "green"))


def _table(cells: list[CellVerdict]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for name in ("verdict", "cell", "metric", "before → now", "change", "interval", "p", "margin", "changed", "seeds"):
        table.add_column(name, justify="left" if name in ("verdict", "cell", "metric") else "right", overflow="fold")
    for cell in cells:
        places = places_of(cell)
        values = (
            cell.label + ("" if cell.gating else " (not gating)"), cell.metric, means_text(cell), number(cell.estimate, places, signed=True),
            interval_text(cell), p_text(cell.p_adjusted), number(cell.margin, max(places, 4)), flips_text(cell), seeds_text(cell),
        )  # fmt: skip
        table.add_row(Text(f"{MARKS[cell.verdict]} {cell.verdict}", style=COLOURS[cell.verdict]), *(Text(value) for value in values))
    return table
