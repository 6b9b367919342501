"""Small drawings as inline SVG: scales, ticks, and elements with escaped text. Colours are CSS variables, so a page's theme applies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

# Okabe and Ito 2008, in an order in which neighbours differ most; the page defines them for light and dark
N_COLOURS = 8
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 4", "1 4", "14 3 3 3")
MARKS = ("circle", "square", "triangle", "diamond", "cross", "ring", "box", "down")


def colour(index: int) -> str:
    """The CSS colour of the series with this number."""
    return f"var(--c{index % N_COLOURS + 1})"


@dataclass(frozen=True)
class Scale:
    """Maps data to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, x = (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        if high == low:
            return (self.start + self.stop) / 2
        return self.start + (x - low) / (high - low) * (self.stop - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers inside the range; powers of ten (or 1-2-5 steps of them) on a logarithmic scale."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [m * 10.0**p for p in powers for m in ((1,) if len(powers) > 3 else (1, 2, 5))]
            return [v for v in found if self.low <= v <= self.high * (1 + 1e-9)]
        return nice_ticks(self.low, self.high, count)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.05) -> tuple[float, float]:
    """The range of the values with a margin; a single value gets one of its own size."""
    low, high = min(values), max(values)
    margin = (high - low) * share or abs(high) * 0.05 or 0.5
    return low - margin, high + margin


@dataclass
class Drawing:
    """Elements in the order drawn. `render` needs a title and a description: a picture that cannot be read aloud is not finished."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, css: str = "rule", style: str = "") -> None:
        self.parts.append(f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{css}"{_style(style)}/>')

    def rect(self, x: float, y: float, width: float, height: float, *, css: str = "", style: str = "", title: str = "") -> None:
        inner = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" height="{_n(height)}"{_css(css)}{_style(style)}>{inner}</rect>'
        )

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", css: str = "", style: str = "", rotate: float = 0) -> None:
        turn = f' transform="rotate({_n(rotate)} {_n(x)} {_n(y)})"' if rotate else ""
        self.parts.append(f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{_css(css)}{_style(style)}{turn}>{escape(text)}</text>')

    def path(self, points: Sequence[tuple[float, float]], *, css: str = "curve", style: str = "") -> None:
        if points:
            d = "M" + "L".join(f"{_n(x)},{_n(y)}" for x, y in points)
            self.parts.append(f'<path d="{d}"{_css(css)}{_style(style)}/>')

    def area(self, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], *, style: str = "") -> None:
        if upper:
            d = "M" + "L".join(f"{_n(x)},{_n(y)}" for x, y in [*upper, *reversed(lower)]) + "Z"
            self.parts.append(f'<path d="{d}" class="band"{_style(style)}/>')

    def mark(self, x: float, y: float, index: int, *, size: float = 4, title: str = "", style: str = "") -> None:
        """A mark whose shape goes with the colour, so that neither is needed alone."""
        inner = f"<title>{escape(title)}</title>" if title else ""
        shape, r = MARKS[index % len(MARKS)], size
        style = style or f"fill:{colour(index)};stroke:{colour(index)}"
        hollow = ";fill:var(--paper)" if shape in ("ring", "box") else ""
        if shape in ("circle", "ring"):
            self.parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" style="{style}{hollow}">{inner}</circle>')
            return
        points = {
            "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
            "box": ((-r, -r), (r, -r), (r, r), (-r, r)),
            "triangle": ((0, -1.2 * r), (1.1 * r, r), (-1.1 * r, r)),
            "down": ((0, 1.2 * r), (1.1 * r, -r), (-1.1 * r, -r)),
            "diamond": ((0, -1.3 * r), (1.3 * r, 0), (0, 1.3 * r), (-1.3 * r, 0)),
            "cross": ((-r, -r), (0, -r / 3), (r, -r), (r / 3, 0), (r, r), (0, r / 3), (-r, r), (-r / 3, 0)),
        }[shape]
        text = " ".join(f"{_n(x + dx)},{_n(y + dy)}" for dx, dy in points)
        self.parts.append(f'<polygon points="{text}" style="{style}{hollow}">{inner}</polygon>')

    def x_axis(self, scale: Scale, y: float, *, label: str = "", count: int = 5, grid_top: float | None = None) -> None:
        for tick in scale.ticks(count):
            x = scale(tick)
            if grid_top is not None:
                self.line(x, grid_top, x, y, css="grid")
            self.line(x, y, x, y + 4)
            self.text(x, y + 16, tick_label(tick), anchor="middle", css="tick")
        self.line(scale.start, y, scale.stop, y)
        if label:
            self.text((scale.start + scale.stop) / 2, y + 33, label, anchor="middle", css="axis")

    def y_axis(self, scale: Scale, x: float, *, label: str = "", count: int = 5, grid_right: float | None = None) -> None:
        for tick in scale.ticks(count):
            y = scale(tick)
            if grid_right is not None:
                self.line(x, y, grid_right, y, css="grid")
            self.text(x - 6, y + 4, tick_label(tick), anchor="end", css="tick")
        if label:
            self.text(x, scale.stop - 8, label, anchor="start", css="axis")

    def render(self, *, identity: str, title: str, description: str, css: str = "figure") -> str:
        """The <svg> element, scaling down with its column but not above its drawn width."""
        head = (
            f'<svg class="{css}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}" '
            f'role="img" aria-labelledby="{identity}-t {identity}-d" xmlns="http://www.w3.org/2000/svg">'
        )
        text = f'<title id="{identity}-t">{escape(title)}</title><desc id="{identity}-d">{escape(description)}</desc>'
        return head + text + "".join(self.parts) + "</svg>"


def tick_label(value: float) -> str:
    """Short: 0.2, 50, 1k, 2M.

    >>> tick_label(0.2), tick_label(1000), tick_label(2e6), tick_label(-0.05)
    ('0.2', '1k', '2M', '−0.05')
    """
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g}{unit}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _style(style: str) -> str:
    return f' style="{style}"' if style else ""


def _css(css: str) -> str:
    return f' class="{css}"' if css else ""
