"""How large a loss matters: one margin per cell, in the metric's own unit."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from harness.errors import InputError

POINTS = 0.005  # half a point of a metric that runs from 0 to 1
SHARE_OF_SD = 0.5
DELTA_MIN_SHARE = 0.5  # a loss under half of the margin is no regression, however sure it is


@dataclass(frozen=True)
class Margins:
    """Margins by glob, and the default max(points * |ceiling|, share_of_sd * seed sd of the baseline).

    by_glob : pattern -> margin. A pattern is matched against `metric`, `task/metric` and `arm/task/metric`; of several the last one counts.

    >>> Margins({"accuracy": 0.01, "sst2/*": 0.02}).of(arm="lora", task="sst2", metric="accuracy", seed_sd=0.1, ceiling=1.0)
    0.02
    """

    by_glob: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    points: float = POINTS
    share_of_sd: float = SHARE_OF_SD

    def __post_init__(self) -> None:
        for pattern, margin in self.by_glob.items():
            if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not math.isfinite(margin) or margin <= 0:
                raise InputError(f"margin {margin!r} for {pattern!r}", key="margins", expected="a number above 0 in the metric's unit")
        object.__setattr__(self, "by_glob", MappingProxyType(dict(self.by_glob)))

    def of(self, *, arm: str, task: str, metric: str, seed_sd: float | None, ceiling: float | None) -> float:
        """The margin of one cell. `seed_sd` is None where the baseline has a single seed."""
        names = (metric, f"{task}/{metric}", f"{arm}/{task}/{metric}")
        chosen = [margin for pattern, margin in self.by_glob.items() if any(fnmatch.fnmatchcase(name, pattern) for name in names)]
        if chosen:
            return float(chosen[-1])
        # a metric in percent has its points in percent
        unit = abs(ceiling) if ceiling is not None and math.isfinite(ceiling) and ceiling != 0 else 1.0
        return max(self.points * unit, self.share_of_sd * (seed_sd or 0.0))

    def unused(self, cells: list[tuple[str, str, str]]) -> list[str]:
        """Patterns that match none of the (arm, task, metric) cells: most likely misspelt."""
        names = {name for arm, task, metric in cells for name in (metric, f"{task}/{metric}", f"{arm}/{task}/{metric}")}
        return [pattern for pattern in self.by_glob if not fnmatch.filter(names, pattern)]


def parse_margin(text: str) -> tuple[str, float]:
    """`GLOB=NUMBER` of the command line.

    >>> parse_margin("sst2/*=0.01")
    ('sst2/*', 0.01)
    """
    pattern, separator, number = text.rpartition("=")
    try:
        return (pattern, float(number)) if separator and pattern else _refuse(text)
    except ValueError:
        return _refuse(text)


def _refuse(text: str) -> tuple[str, float]:
    raise InputError(f"{text!r} is no margin", key="--margin", expected="write GLOB=NUMBER, such as accuracy=0.01")
