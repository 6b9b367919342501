"""How numbers are written, once for every output: two significant digits of the standard error decide the decimals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from ..statistics.result import TestResult

NOTHING = "–"


def decimals(se: float | None, *, least: int = 1, most: int = 6, default: int = 3) -> int:
    """Decimals at which two significant digits of the standard error are visible.

    >>> decimals(0.0123), decimals(0.5), decimals(None)
    (3, 2, 3)
    """
    if se is None or not math.isfinite(se) or se <= 0:
        return default
    return min(max(1 - math.floor(math.log10(se)), least), most)


def median_places(results: Iterable[TestResult | None], *, default: int = 3) -> int:
    """Decimals for numbers that stand in one column: those of their median standard error."""
    errors = [r.se for r in results if r is not None and r.se is not None and math.isfinite(r.se) and r.se > 0]
    return decimals(median(errors), default=default) if errors else default


def number(value: float | None, places: int = 3, *, sign: bool = False) -> str:
    """A fixed number of decimals with a true minus sign; what is undefined is a dash.

    >>> number(-0.01234, 3), number(None), number(0.5, 2, sign=True)
    ('−0.012', '–', '+0.50')
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+.{places}f}" if sign else f"{value:.{places}f}"
    if float(text) == 0:
        text = f"{0:.{places}f}"
    return text.replace("-", "−")


def estimate(result: TestResult | None, places: int | None = None, *, sign: bool = False) -> str:
    """The estimate, with the decimals that its standard error allows where none are given."""
    return NOTHING if result is None else number(result.estimate, decimals(result.se) if places is None else places, sign=sign)


def interval(result: TestResult | None, places: int | None = None, *, sign: bool = False) -> str:
    """'0.812 to 0.846', or a dash."""
    if result is None or result.ci_low is None or result.ci_high is None:
        return NOTHING
    places = decimals(result.se) if places is None else places
    return f"{number(result.ci_low, places, sign=sign)} to {number(result.ci_high, places, sign=sign)}"


def pvalue(p: float | None) -> str:
    """Three decimals, '<.001' below, '>.999' above.

    >>> pvalue(0.0004), pvalue(0.0421), pvalue(None)
    ('<.001', '.042', '–')
    """
    if p is None or math.isnan(p):
        return NOTHING
    if p < 0.001:
        return "<.001"
    return ">.999" if p > 0.999 else f"{p:.3f}".lstrip("0")


def pequals(p: float | None) -> str:
    """'p = .039' or 'p < .001', for sentences.

    >>> pequals(0.0004), pequals(0.0421)
    ('p < .001', 'p = .042')
    """
    text = pvalue(p)
    return f"p {text[0]} {text[1:]}" if text[0] in "<>" else f"p = {text}"


def share(value: float | None) -> str:
    """A probability in percent; never 0 % or 100 % where it is neither.

    >>> share(0.004), share(0.31), share(1.0)
    ('<1%', '31%', '100%')
    """
    if value is None or math.isnan(value):
        return NOTHING
    if 0 < value < 0.01:
        return "<1%"
    return ">99%" if 0.99 < value < 1 else f"{100 * value:.0f}%"


def chance(value: float | None) -> str:
    """A share of resamples in percent: none of them is not never, and all of them is not always.

    >>> chance(0.0), chance(1.0), chance(0.31)
    ('<1%', '>99%', '31%')
    """
    return "<1%" if value == 0 else ">99%" if value == 1 else share(value)


def count(value: float | None) -> str:
    """Thousands in short: 950, 12.3k, 4.56M.

    >>> count(950), count(12345), count(4560000)
    ('950', '12.3k', '4.56M')
    """
    if value is None or math.isnan(value):
        return NOTHING
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}" if value != int(value) else str(int(value))


def size(value: float | None) -> str:
    """Bytes in binary units.

    >>> size(2048), size(3_500_000)
    ('2 KiB', '3.34 MiB')
    """
    if value is None or math.isnan(value):
        return NOTHING
    for limit, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{int(value)} B"


def seconds(value: float | None) -> str:
    """Seconds up to two minutes, then minutes, hours, days.

    >>> seconds(4.234), seconds(300), seconds(7200)
    ('4.2 s', '5.0 min', '2.0 h')
    """
    if value is None or math.isnan(value):
        return NOTHING
    for limit, divisor, unit in ((48 * 3600, 86400, "d"), (2 * 3600, 3600, "h"), (120, 60, "min")):
        if value >= limit:
            return f"{value / divisor:.1f} {unit}"
    return f"{value:.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 1 else f"{value:.2g} s"


OVER = {
    "seeds": "over seeds (this test set)",
    "examples": "over examples (these trained models)",
    "seeds+examples": "over seeds and examples (these tasks)",
    "tasks": "over tasks",
}


def generalises(over: str | None) -> str:
    """What an interval or a test speaks about, in words."""
    return OVER.get(over or "", "descriptive")


__all__ = [
    "NOTHING",
    "count",
    "decimals",
    "estimate",
    "generalises",
    "interval",
    "median_places",
    "number",
    "pequals",
    "pvalue",
    "seconds",
    "share",
    "size",
]
