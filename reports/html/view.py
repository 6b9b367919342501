"""What a section sees of the analysis: one family with its indices, and the template environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..analysis import digits
from ..analysis.model import Analysis, Arm, Cell, Column, ColumnPair, Family, Pair, Standing, Versus
from .pictures import Gallery

HERE = Path(__file__).parent


@dataclass(frozen=True)
class View:
    """One family of an analysis. `slug` starts every id; `examples` maps a column to its drill-down page, where one was written."""

    analysis: Analysis
    family: Family
    slug: str
    examples: Mapping[str, str] = field(default_factory=dict)
    gallery: Gallery | None = None

    @cached_property
    def cells(self) -> dict[tuple[str, str], Cell]:
        return {(cell.arm, cell.column): cell for cell in self.family.cells}

    @cached_property
    def arms(self) -> dict[str, Arm]:
        return {arm.name: arm for arm in self.family.arms}

    @cached_property
    def rows(self) -> dict[str, Standing]:
        return {row.arm: row for row in self.family.standings}

    @cached_property
    def columns(self) -> dict[str, Column]:
        return {column.key: column for column in self.family.columns}

    @cached_property
    def order(self) -> list[str]:
        """Arms in the order of the board."""
        return [row.arm for row in self.family.standings]

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Pair]:
        return {(pair.a, pair.b): pair for pair in self.family.pairs}

    @cached_property
    def column_pairs(self) -> dict[tuple[str, str, str], ColumnPair]:
        return {(pair.column, pair.a, pair.b): pair for pair in self.family.column_pairs}

    @cached_property
    def versus(self) -> dict[tuple[str, str], Versus]:
        return {(item.baseline, item.arm): item for item in self.family.versus}

    @cached_property
    def shown(self) -> list[str]:
        """Arms of the large figures: the baselines and the top of the board."""
        top = self.order[: self.analysis.options.top]
        return [arm for arm in self.order if arm in top or arm in self.family.baselines]

    def pair(self, a: str, b: str) -> tuple[Pair, float] | None:
        """The pair and the sign that turns it into a minus b."""
        if (a, b) in self.pairs:
            return self.pairs[a, b], 1.0
        return (self.pairs[b, a], -1.0) if (b, a) in self.pairs else None

    @cached_property
    def here(self) -> str:
        """What the tests on these columns generalise over, in words; the least of them, as for the places."""
        over = {pair.here.generalise_over for pair in self.family.pairs if pair.here.estimate is not None}
        least = (
            "examples" if over == {"examples"} else "seeds" if "seeds" in over else "examples" if "examples" in over else "seeds+examples"
        )
        return digits.generalises(least)

    @property
    def alpha(self) -> float:
        return self.analysis.options.alpha


@dataclass(frozen=True)
class Section:
    """A part of the page: `draw` gives its inner HTML, or None where there is nothing to say."""

    name: str
    title: str
    draw: Callable[[View], str | None]
    scope: Literal["family", "page"] = "family"
    short: str = ""


@dataclass(frozen=True)
class Drawn:
    id: str
    title: str
    html: Markup


def environment() -> Environment:
    """Autoescaping, strict about unknown names, with the number formats of `digits` as filters."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for name in ("number", "estimate", "interval", "pvalue", "pequals", "share", "chance", "count", "size", "seconds", "generalises"):
        found.filters[name] = getattr(digits, name)
    return found


ENVIRONMENT = environment()


def render(template: str, **values: Any) -> str:
    return ENVIRONMENT.get_template(template).render(**values)


def raw(text: str) -> Markup:
    """Text that our own code has drawn and escaped (SVG)."""
    return Markup(text)


def slug(text: str) -> str:
    """Letters, digits and hyphens, for ids and file names.

    >>> slug("sst2 · 16 per class")
    'sst2-16-per-class'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def json_block(value: Any) -> Markup:
    """JSON for a script element: no `<`, `>`, `&` or line separator that could end it or open markup."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return raw(text)
