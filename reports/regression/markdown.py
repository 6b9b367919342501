"""The comparison as Markdown for a pull request: a line, a table of what matters, the rest collapsed, never over the comment limit."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    sentence,
)

LIMIT = 65_000  # GitHub refuses comments over 65,536 characters
HEADER = "| verdict | cell | metric | before → now | change | interval | p | margin | changed | seeds |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|"


def to_markdown(comparison: Comparison, *, limit: int = LIMIT) -> str:
    """Markdown of at most `limit` characters; what did not fit is counted."""
    mark = "✅" if comparison.exit_code == PASS else "❌"
    head = [
        f"### {mark} {escape(comparison.headline)}",
        "",
        f"baseline {escape(comparison.baseline)}, current {escape(comparison.current)}",
        "",
    ]
    head += [f"> {escape(line)}  " for line in remarks(comparison)[:40]] + [""]
    found = notable(comparison)
    main = [HEADER, *(_row(cell) for cell in found)] if found else []
    reasons = [f"- {escape(sentence(cell, comparison))}" for cell in found]
    costs = [f"- {escape(cost_sentence(change))}" for change in comparison.costs if change.verdict in ("dearer", "cheaper")]
    rest = [cell for cell in comparison.cells if cell not in found]
    sections = [
        (None, main),
        ("Reasons and numbers", reasons),
        ("Costs that changed", costs),
        (f"{len(rest)} unremarkable cells", [HEADER, *(_row(cell) for cell in rest)] if rest else []),
    ]
    text = "\n".join(head)
    tail = "\n" + escape(caption(comparison)) + "\n"
    for title, lines in sections:
        text += _section(title, lines, limit - len(text) - len(tail))
    return (text + tail)[:limit]


def _section(title: str | None, lines: Sequence[str], room: int) -> str:
    """As many lines as there is room for, with the number left out."""
    if not lines:
        return ""
    opening = f"\n<details><summary>{escape(title)}</summary>\n\n" if title else "\n"
    closing = "\n\n</details>\n" if title else "\n"
    reserve = len(opening) + len(closing) + 80
    kept: list[str] = []
    used = reserve
    for line in lines:
        if used + len(line) + 1 > room:
            break
        kept.append(line)
        used += len(line) + 1
    if not kept:
        return ""
    left = len(lines) - len(kept)
    return opening + "\n".join(kept) + (f"\n\n… and {left} more lines (see the JSON output)" if left else "") + closing


def _row(cell: CellVerdict) -> str:
    places = places_of(cell)
    name = cell.label + ("" if cell.gating else " (not gating)")
    values = [
        f"{MARKS[cell.verdict]} {cell.verdict}", name, cell.metric, means_text(cell), number(cell.estimate, places, signed=True), interval_text(cell),
        p_text(cell.p_adjusted), number(cell.margin, max(places, 4)), flips_text(cell), seeds_text(cell),
    ]  # fmt: skip
    return "| " + " | ".join(escape(value) for value in values) + " |"


def escape(text: str) -> str:
    """Text in which Markdown, HTML and mentions are inert.

    >>> escape("a|b <i> @all *x*")
    'a\\\\|b &lt;i&gt; @\\u200ball \\\\*x\\\\*'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\|*_`\[\]~#])", r"\\\1", text)
    return text.replace("@", "@\u200b")
